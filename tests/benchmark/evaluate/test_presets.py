"""The definitions of other tools through the whole evaluation."""

from __future__ import annotations

import numpy as np
import pytest

import ctatlas
from ctatlas.benchmark.evaluate import Options
from ctatlas.errors import ModelError
from ctatlas.volume import Grid, Segmentation
from tests.benchmark.evaluate.bodies import body, case_folder, dice, labels

MOVED = (1, 0, 0)


@pytest.fixture
def one_case(tmp_path):
    case_folder(tmp_path / "gt", "a", body())
    case_folder(tmp_path / "pred", "a", body(MOVED))
    return tmp_path / "gt", tmp_path / "pred"


def test_a_preset_brings_its_metrics_and_its_tolerances(one_case):
    found = ctatlas.evaluate(*one_case, options=Options(preset="totalsegmentator"))
    assert {(row.metric, row.tolerance_mm) for row in found.measurements} == {("dsc", None), ("nsd", 3.0)}
    assert {row.implementation for row in found.measurements} == {"totalsegmentator"}


def test_a_tolerance_that_was_given_goes_before_the_presets(one_case):
    found = ctatlas.evaluate(*one_case, metrics=["nsd"], tolerance=2.0, options=Options(preset="suprem"))
    assert {row.tolerance_mm for row in found.measurements} == {2.0}
    assert all(0 < row.value <= 1 for row in found.measurements)


def test_smoothing_shows_in_the_value(one_case, row_of):
    found = ctatlas.evaluate(*one_case, metrics=["dsc"], options=Options(preset="suprem"))
    gt, pred = labels() == 4, labels(MOVED) == 4
    total = gt.sum() + pred.sum()
    assert row_of(found, "a", "spleen").value == pytest.approx(dice(gt, pred) * total / (total + 1), rel=1e-12)


def test_an_invented_organ_is_nothing_right_with_us_and_left_out_by_others(tmp_path, row_of):
    absent = body().replace({"spleen": np.zeros(body().grid.shape, bool)})
    case_folder(tmp_path / "gt", "a", Segmentation.from_masks(absent.grid, dict(absent.items())))
    case_folder(tmp_path / "pred", "a", body())
    places, dsc = (tmp_path / "gt", tmp_path / "pred"), {"metrics": ["dsc"]}
    found = {
        name: row_of(ctatlas.evaluate(*places, **dsc, options=Options(preset=name)), "a", "spleen")
        for name in ("surfel", "nnunet", "monai", "touchstone")
    }
    assert {name: row.value for name, row in found.items()} == {
        "surfel": 0,
        "nnunet": 0,
        "monai": None,
        "touchstone": None,
    }
    assert {row.status for row in found.values()} == {"gt_absent"}


def test_what_a_tool_does_not_have_is_refused_before_any_work(one_case):
    with pytest.raises(ModelError, match="the preset nnunet has no hd95; it has dsc, iou"):
        ctatlas.evaluate(*one_case, metrics=["dsc", "hd95"], options=Options(preset="nnunet"))


def test_centre_lines_on_thick_slices_are_told(one_case):
    assert [note.kind for note in ctatlas.evaluate(*one_case, metrics=["dsc", "cldice"]).notes] == ["thick_slices"]
    assert not ctatlas.evaluate(*one_case, metrics=["dsc"]).notes


def slabs(thickness):
    mask = np.zeros((9, 30, 31), bool)
    mask[:thickness] = True
    return Segmentation.from_masks(Grid(mask.shape, np.diag([0.8, 1.0, 1.0, 1.0])), {"liver": mask})


def test_what_rounding_decides_is_told_and_a_preset_takes_it_in(tmp_path, row_of):
    """A face moved by three voxels of 0.8 mm is 2.4000000000000004 mm away."""
    case_folder(tmp_path / "gt", "a", slabs(2))
    case_folder(tmp_path / "pred", "a", slabs(5))
    places = (tmp_path / "gt", tmp_path / "pred")
    found = ctatlas.evaluate(*places, metrics=["nsd"], tolerance=[2.4, 2.5])
    (note,) = found.notes
    assert note.kind == "ties_at_tolerance"
    assert note.message.startswith("at 2.4 mm rounding decides on 2")
    assert {row.metric for row in found.measurements} == {"nsd"}
    asked = ctatlas.evaluate(*places, metrics=["nsd", "tie_share"], tolerance=2.4)
    share, nsd = (row_of(asked, "a", "liver", name).value for name in ("tie_share", "nsd"))
    inclusive = ctatlas.evaluate(*places, metrics=["nsd"], tolerance=2.4, options=Options(preset="surfel-inclusive"))
    (row,) = inclusive.measurements
    assert row.implementation == "surfel-inclusive"
    assert row.value == pytest.approx(nsd + share, rel=1e-12)
    assert share > 0.2
    assert not inclusive.notes
