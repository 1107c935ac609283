"""An atlas as reference and as prediction: which masks count, and that a model is never measured against itself."""

from __future__ import annotations

from pathlib import Path

import pytest

import ctatlas
from ctatlas.atlas.assemble import assemble_tasks
from ctatlas.benchmark.evaluate import Options
from ctatlas.errors import ScanError
from ctatlas.execution import perform
from tests.atlas.by_hand import box
from tests.atlas.filled import filled_atlas
from tests.benchmark.evaluate.bodies import body, case_folder, dice

DSC = ("dsc",)


@pytest.fixture
def atlas(tmp_path: Path) -> Path:
    """Write an atlas: original liver and absent aorta, a predicted liver and spleen, the spleen revised, assembled."""
    filled_atlas(tmp_path / "atlas")
    return tmp_path / "atlas"


def found(gt: Path, pred: Path, **options: object) -> dict[tuple[str, str], tuple[str, float | None]]:
    rows = ctatlas.evaluate(gt, pred, metrics=DSC, options=Options(**options)).measurements  # type: ignore[arg-type]
    return {(row.case, row.structure): (row.status, row.value) for row in rows}


def test_what_is_assembled_against_a_model(atlas: Path) -> None:
    rows = found(atlas, atlas, pred_of="ctatlas/base")
    liver = dice(box((0, 6)), box((0, 7)))
    spleen = dice(box((7, 9), (0, 4)), box((7, 10), (0, 4)))
    assert rows["one", "liver"] == ("ok", pytest.approx(liver))
    assert rows["one", "spleen"] == ("ok", pytest.approx(spleen))
    assert {case for case, _ in rows} == {"one", "two"}


def test_the_original_masks_against_what_is_assembled(atlas: Path) -> None:
    rows = found(atlas, atlas, gt_of="original")
    assert rows["one", "liver"] == ("ok", 1.0)
    assert rows["one", "aorta"] == ("both_absent", None)
    assert ("one", "spleen") not in rows  # the source did not annotate it


def test_what_only_a_model_says_is_no_reference(tmp_path: Path) -> None:
    atlas = filled_atlas(tmp_path / "atlas", assembly={"priorities": ["pseudo", "revised", "original"]})
    for task in assemble_tasks(atlas, atlas.cases()):
        perform(task)
    with pytest.raises(ScanError, match="references annotate aorta; predictions are of liver, spleen"):
        found(tmp_path / "atlas", tmp_path / "atlas", pred_of="ctatlas/base")


def test_a_model_that_predicted_nothing_is_named(atlas: Path) -> None:
    with pytest.raises(ScanError, match=r"no case has a prediction that can be read; one: has no masks of 'nobody'"):
        found(atlas, atlas, pred_of="nobody")


def test_an_atlas_against_itself_is_refused(atlas: Path) -> None:
    with pytest.raises(ScanError, match="both reference and prediction"):
        found(atlas, atlas)


def test_a_choice_of_masks_is_refused_where_there_is_none(atlas: Path, tmp_path: Path) -> None:
    case_folder(tmp_path / "gt", "one", body())
    with pytest.raises(ScanError, match=r"gt: is no atlas"):
        found(tmp_path / "gt", atlas, gt_of="original")
