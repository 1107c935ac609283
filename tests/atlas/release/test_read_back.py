"""A release is added to another atlas, in every layout, and gives the masks that were released."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest

from ctatlas.atlas import Atlas, AtlasConfig
from ctatlas.atlas.add import Ask
from ctatlas.atlas.add.layouts import listed
from ctatlas.atlas.layout import CasePlace
from ctatlas.atlas.records import CaseRecord, ProvenanceRecord, read_record
from ctatlas.atlas.release import LAYOUTS, ReleaseChoices, make_release, plan_release, release_faults
from ctatlas.atlas.revise import store_revision
from ctatlas.errors import ScanError
from ctatlas.volume import read_labels
from tests.atlas.add.sources import added_to
from tests.atlas.by_hand import add_prediction
from tests.atlas.release.small_atlas import assemble, tell
from tests.support.atlases import phantom_atlas, true_masks

PREDICTED = ("liver", "spleen", "aorta", "colon", "stomach", "inferior_vena_cava", "kidney_left", "kidney_right")


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an atlas of two phantoms: originals of BTCV beside predictions and a corrected colon; predictions alone."""
    folder = tmp_path_factory.mktemp("phantoms") / "atlas"
    made = phantom_atlas(folder, 2, sources=("kits", None), members=["m/one"])
    for case, truth in made.truth.items():
        place = made.atlas.place.case(case)
        shifted = {name: np.roll(mask, 1, axis=2) for name, mask in true_masks(truth, PREDICTED).items()}
        add_prediction(place, "m/one", shifted, grid=truth.grid)
    place, truth = made.place(0), made.truth["phantom_0"]
    colon = true_masks(truth, ["colon"])
    store_revision(place, colon, before={}, author="ann", minutes=3, tool="", reason="", created="2026-01-02")
    tell(place, split="test")
    made.atlas.synchronise()
    assemble(made.atlas)
    return folder


@pytest.fixture
def atlas(made_once: Path) -> Atlas:
    return Atlas.open(made_once)


def released(atlas: Atlas, to: Path, layout: str, **choices: object) -> Path:
    """Make a release, and give it to a stranger, unpacked."""
    made = make_release(plan_release(atlas, "1.0", ReleaseChoices(layout=layout, **choices)))  # type: ignore[arg-type]
    assert list(release_faults(made)) == []
    made.rename(to)
    for path in to.rglob("*.tar.gz"):
        with tarfile.open(path) as shard:
            shard.extractall(to, filter="data")
    return to


def masks_of(place: CasePlace) -> dict[str, np.ndarray]:
    paths = sorted((place.assembled / "segmentations").glob("*.nii.gz"))
    return {path.name: read_labels(path).labels for path in paths}


def same_scan(atlas: Atlas, place: CasePlace) -> CasePlace:
    """Return the case of another atlas on the same grid."""
    wanted = read_record(CaseRecord, place.record).grid.grid()
    return next(one for one in atlas.cases() if read_record(CaseRecord, one.record).grid.grid().is_like(wanted))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_was_released_comes_back_voxel_for_voxel(layout: str, atlas: Atlas, tmp_path: Path) -> None:
    folder = released(atlas, tmp_path / "04_Any", layout)
    config = AtlasConfig(name="again", members=("given/pseudo_label",))
    again = Atlas.create(tmp_path / "again", config)
    ask = Ask(label_set="kits") if layout == "abdomenatlas-8k" else Ask()
    assert [one.state for one in added_to(again, folder, ask=ask)] == ["added", "added"]
    assemble(again)
    for place in atlas.cases():
        before, after = masks_of(place), masks_of(same_scan(again, place))
        common = set(before) if layout != "nnunet" else set(before) & set(after)  # there what every case knows
        assert common <= set(after)
        assert len(common) >= len(PREDICTED)
        for name in common:
            np.testing.assert_array_equal(after[name], before[name], err_msg=name)


def test_the_8k_layout_tells_what_models_said_before(atlas: Atlas, tmp_path: Path) -> None:
    folder = released(atlas, tmp_path / "8k", "abdomenatlas-8k")
    case = folder / "kits_phantom_0"
    files = {path.relative_to(case).as_posix() for path in case.rglob("*.nii.gz")}
    assert {"pseudo_label.nii.gz", "pseudo_label_V1.nii.gz", "original_label.nii.gz"} <= files
    assert [name for name in files if name.endswith("_V1.nii.gz") and "/" in name] == ["segmentations/colon_V1.nii.gz"]
    said = read_labels(case / "pseudo_label_V1.nii.gz").labels == 18  # the colon's universal id
    np.testing.assert_array_equal(said, read_labels(case / "segmentations" / "colon_V1.nii.gz").labels == 1)
    truth = read_labels(case / "segmentations" / "colon.nii.gz").labels == 1
    assert 0 < np.count_nonzero(said & truth) < np.count_nonzero(truth)
    again = Atlas.create(tmp_path / "again", AtlasConfig(name="again", members=("given/pseudo_label",)))
    added_to(again, folder, ask=Ask(label_set="kits"))
    assemble(again)
    sources = [read_record(ProvenanceRecord, place.assembled / "provenance.json").masks for place in again.cases()]
    assert {masks["colon"].source for masks in sources} == {"revised", "pseudo"}


def test_splits_come_back(atlas: Atlas, tmp_path: Path) -> None:
    for layout in ("abdomenatlas", "huggingface"):
        listing = listed(released(atlas, tmp_path / layout, layout), Ask())
        assert sorted(str(one.split) for one in listing.found) == ["None", "test"]


def test_a_release_that_is_still_packed_is_said(atlas: Atlas, tmp_path: Path) -> None:
    folder = released(atlas, tmp_path / "hf", "huggingface")
    for name in ("test", "all"):
        shutil.rmtree(folder / "data" / name)
    with pytest.raises(ScanError, match=r"hf: is a release whose cases are packed; unpack data/\*.tar.gz"):
        listed(folder, Ask())
