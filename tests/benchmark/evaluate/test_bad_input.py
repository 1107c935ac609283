"""Bad input is normal: each is named for its case, and the rest is evaluated."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import ctatlas
from ctatlas.benchmark.evaluate import Evaluation, Options
from ctatlas.errors import ScanError
from ctatlas.volume import write_labels
from tests.benchmark.evaluate.bodies import body, case_folder, grid, labels


def evaluated(root: Path) -> Evaluation:
    return ctatlas.evaluate(root / "gt", root / "pred", metrics=("dsc",), options=Options(worst=0))


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    """Write label maps of two cases on both sides."""
    for side in ("gt", "pred"):
        (tmp_path / side).mkdir()
        for case in ("bad", "good"):
            write_labels(labels(), grid(), tmp_path / side / f"{case}.nii.gz")
    return tmp_path


def halves(path: Path) -> None:
    """Write what no label can be."""
    nib.save(nib.Nifti1Image(labels().astype(np.float32) / 2, grid().affine), path)


def not_numbers(path: Path) -> None:
    values = labels().astype(np.float32)
    values[0, 0, 0] = np.nan
    nib.save(nib.Nifti1Image(values, grid().affine), path)


def negative(path: Path) -> None:
    nib.save(nib.Nifti1Image(labels().astype(np.int16) - 1, grid().affine), path)


def several_times(path: Path) -> None:
    nib.save(nib.Nifti1Image(np.stack([labels()] * 2, axis=3), grid().affine), path)


def nothing(path: Path) -> None:
    path.write_bytes(b"")


def text(path: Path) -> None:
    path.write_text("liver,1")


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


DAMAGES = [halves, not_numbers, negative, several_times, nothing, text, cut_short]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda one: one.__name__)
def test_a_bad_prediction_is_missing_and_named(flat: Path, damage: Callable[[Path], None]) -> None:
    damage(flat / "pred" / "bad.nii.gz")
    found = evaluated(flat)
    assert [(each.case, each.stage) for each in found.failures] == [("bad", "prediction")]
    assert "bad" in found.failures[0].reason
    assert "\n" not in found.failures[0].reason
    assert {row.case: row.status for row in found.measurements} == {"bad": "missing_prediction", "good": "ok"}


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda one: one.__name__)
def test_a_bad_reference_is_named(flat: Path, damage: Callable[[Path], None]) -> None:
    damage(flat / "gt" / "bad.nii.gz")
    found = evaluated(flat)
    assert [(each.case, each.stage) for each in found.failures] == [("bad", "read the reference")]
    assert {row.case for row in found.measurements} == {"good"}


def test_when_no_reference_can_be_read_that_is_said_at_once(flat: Path) -> None:
    for case in ("bad", "good"):
        text(flat / "gt" / f"{case}.nii.gz")
    with pytest.raises(ScanError, match=r"bad: .*\(and so for all 2 cases\)"):
        evaluated(flat)


def test_a_mask_with_several_labels_is_refused(tmp_path: Path) -> None:
    for side in ("gt", "pred"):
        case_folder(tmp_path / side, "a", body())
        case_folder(tmp_path / side, "b", body())
    write_labels(labels(), grid(), tmp_path / "pred" / "a" / "segmentations" / "liver.nii.gz")
    found = evaluated(tmp_path)
    assert [each.reason for each in found.failures] == [
        "liver.nii.gz: holds several labels; expected a mask, 0 and one other value."
    ]


def test_one_structure_under_two_spellings_is_refused(tmp_path: Path) -> None:
    for side in ("gt", "pred"):
        case_folder(tmp_path / side, "a", body())
    folder = tmp_path / "pred" / "a" / "segmentations"
    (folder / "Left Kidney.nii.gz").write_bytes((folder / "kidney_left.nii.gz").read_bytes())
    with_other = evaluated(tmp_path)
    assert "Left Kidney" in with_other.failures[0].reason
    assert "one structure under different spellings" in with_other.failures[0].reason


@pytest.mark.parametrize("name", ["Müller 7", "a,b", "-x", "=a", "con", "a" * 200])
def test_odd_names_of_cases_keep_their_name_in_the_tables(tmp_path: Path, name: str) -> None:
    for side in ("gt", "pred"):
        case_folder(tmp_path / side, name, body())
        case_folder(tmp_path / side, "Muller_7", body())
    out = tmp_path / "out"
    found = ctatlas.evaluate(tmp_path / "gt", tmp_path / "pred", out, metrics=("dsc",), options=Options(worst=0))
    assert {row.case for row in found.measurements} == {name, "Muller_7"}
    assert len(list((out / "cases").glob("*/run.json"))) == 2


def test_an_unreadable_folder_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for side in ("gt", "pred"):
        case_folder(tmp_path / side, "a", body())

    def refuse(_: Path) -> None:
        raise PermissionError(13, "Permission denied", "gt")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(ScanError, match="gt: cannot be read: Permission denied"):
        evaluated(tmp_path)


def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    for side in ("gt", "pred"):
        for case in "abc":
            case_folder(tmp_path / side, case, body())
    out = tmp_path / "out"

    class Impatient:
        n = 0

        def stage(self, name: str, total: int) -> None:
            self.n += name.startswith("c (") and total > 0
            if self.n:
                raise KeyboardInterrupt

        def advance(self, steps: int = 1) -> None:
            pass

    with pytest.raises(KeyboardInterrupt):
        ctatlas.evaluate(tmp_path / "gt", tmp_path / "pred", out, metrics=("dsc",), progress=Impatient())
    done = {path: path.stat().st_mtime_ns for path in out.glob("cases/*/run.json")}
    assert {path.parent.name for path in done} == {"a", "b"}
    assert not (out / "metrics.csv").exists()
    found = ctatlas.evaluate(tmp_path / "gt", tmp_path / "pred", out, metrics=("dsc",), options=Options(worst=0))
    assert {row.case for row in found.measurements} == {"a", "b", "c"}
    assert all(path.stat().st_mtime_ns == time for path, time in done.items())
