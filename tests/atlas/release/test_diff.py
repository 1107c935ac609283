"""What changed between two releases, against figures by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ctatlas.atlas import Atlas
from ctatlas.atlas.release import (
    ReleaseChoices,
    ReleaseDiff,
    StructureChange,
    diff_releases,
    make_release,
    plan_release,
)
from tests.atlas.by_hand import GRID, add_prediction, new_case
from tests.atlas.release.small_atlas import LIVER, SPLEEN, assemble, revise, small_atlas

SMALLER = SPLEEN & (np.arange(9) > 2)  # two thirds of it


def release(atlas: Atlas, version: str, **choices: object) -> Path:
    return make_release(plan_release(atlas, version, ReleaseChoices(**choices)))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    """Return an atlas with releases before (1.0) and after (2.0) a revision and a new case."""
    atlas = small_atlas(tmp_path_factory.mktemp("small") / "atlas")
    release(atlas, "1.0")
    release(atlas, "1.0-packed", cases_per_shard=2)
    revise(atlas.place.case("ccc"), "spleen", SMALLER)
    revise(atlas.place.case("bbbb"), "liver", LIVER)
    add_prediction(new_case(atlas, "ddddd"), "ctatlas/base", {"liver": LIVER})
    assemble(atlas)
    release(atlas, "2.0")
    release(atlas, "2.0-nnunet", layout="nnunet", cases=("ccc",))
    return atlas


def compared(atlas: Atlas, one: str, other: str) -> tuple[ReleaseDiff, dict[str, StructureChange]]:
    found = diff_releases(atlas.place.releases / one, atlas.place.releases / other)
    return found, {change.structure: change for change in found.structures}


@pytest.mark.parametrize("before", ["1.0", "1.0-packed"])
def test_a_revision_is_told_in_ml_and_dice(atlas: Atlas, before: str) -> None:
    found, by_structure = compared(atlas, before, "2.0")
    assert (found.new_cases, found.gone_cases, found.other_scans) == (("BDMAP_00000004",), (), ())
    spleen = by_structure["spleen"]
    assert (spleen.same, spleen.changed, spleen.added, spleen.removed) == (2, 1, 0, 0)
    assert spleen.removed_ml == pytest.approx(SPLEEN.sum() / 3 * GRID.voxel_ml)
    assert spleen.added_ml == 0
    assert spleen.mean_dice == spleen.lowest_dice == pytest.approx(2 * (2 / 3) / (1 + 2 / 3))
    assert spleen.sources == ("pseudo → revised: 1",)


def test_the_same_voxels_from_elsewhere_are_a_change_of_source_alone(atlas: Atlas) -> None:
    found, by_structure = compared(atlas, "1.0", "2.0")
    liver = by_structure["liver"]
    assert (liver.same, liver.changed, liver.sources) == (3, 0, ("pseudo → revised: 1",))
    assert [(one.case, one.what) for one in found.masks if one.structure == "liver"] == [("BDMAP_00000002", "source")]


def test_nothing_changed_between_layouts_of_one_state(atlas: Atlas) -> None:
    found, by_structure = compared(atlas, "1.0", "1.0-packed")
    assert found.masks == ()
    assert {name: one.same for name, one in by_structure.items()} == {
        "spleen": 3, "kidney_right": 2, "kidney_left": 2, "liver": 3,
    }  # fmt: skip


def test_releases_without_single_masks_are_compared_by_their_labels(atlas: Atlas) -> None:
    found, by_structure = compared(atlas, "1.0", "2.0-nnunet")
    assert found.gone_cases == ("BDMAP_00000001", "BDMAP_00000002")
    assert by_structure["spleen"].removed_ml == pytest.approx(SPLEEN.sum() / 3 * GRID.voxel_ml)
    assert by_structure["liver"].same == 1
