"""Cases: what is known of a scan, what is known to be absent, and what is not known."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from ctatlas.anatomy import structures
from ctatlas.synthesis.cases import draw_case
from ctatlas.training.evaluation import cases as module
from ctatlas.training.evaluation.cases import phantom, real
from ctatlas.training.evaluation.store import Store
from ctatlas.training.evaluation.torsos import absent_in, torsos
from ctatlas.training.scans import UNLABELLED


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let phantoms be small, and their organs of whatever size: to fit them to their volumes takes seconds."""
    monkeypatch.setattr(module, "PHANTOM_SHAPE", (40, 44, 24))
    monkeypatch.setattr(module, "draw_case", partial(draw_case, exact=False))


@pytest.mark.usefixtures("quick")
def test_a_kept_case_is_the_one_that_was_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    drawn = phantom(store, 3)
    monkeypatch.setattr(module, "make_case", None)  # is not drawn again
    kept = phantom(store, 3)
    np.testing.assert_array_equal(drawn.volume.array, kept.volume.array)
    assert kept.volume.grid == drawn.volume.grid
    assert kept.truth.n_voxels() == drawn.truth.n_voxels()
    assert kept.truth.n_voxels()["vertebrae"] > 0
    assert {"gallbladder", "prostate", "uterus"} <= set(kept.truth.names)  # absent is knowledge


@pytest.mark.usefixtures("quick")
def test_another_phase_is_the_same_person(tmp_path: Path) -> None:
    native, arterial = (phantom(Store(tmp_path), 3, phase) for phase in ("native", "arterial"))
    assert native.truth.n_voxels() == arterial.truth.n_voxels()
    aorta = native.truth.mask("aorta")
    assert np.median(arterial.volume.array[aorta]) > np.median(native.volume.array[aorta]) + 50


def test_a_real_scan_knows_wholes_and_what_is_absent(shared_data: Path) -> None:
    case = real(shared_data, "ts-example")
    counts = case.truth.n_voxels()
    assert counts["liver"] * case.truth.grid.voxel_ml == pytest.approx(1125.7, abs=0.1)  # data folder's README
    assert counts["lung_left"] > 0
    assert counts["vertebrae"] > counts["vertebrae_L5"]
    assert counts["heart"] == 0
    assert "rectum" not in counts  # TotalSegmentator does not tell it from the colon
    liver, spleen = (
        case.truth.grid.world(np.argwhere(case.truth.mask(n))).mean(axis=0)[0] for n in ("liver", "spleen")
    )
    assert liver > spleen  # +x is the patient's right in RAS+ world


def test_what_a_field_of_view_leaves_out_is_absent_and_what_was_seen_besides() -> None:
    pelvis = {"urinary_bladder", "prostate", "rectum", "hip_left", "hip_right", "femur_left", "femur_right"}
    assert set(absent_in("nsclc-r01-001")) == pelvis
    assert set(absent_in("crlm-1004")) == pelvis | {"trachea"}
    assert all(set(absent_in(name)) <= structures().keys() for name in UNLABELLED)


def test_torsos_without_labels_know_only_what_is_absent(shared_data: Path) -> None:
    cases = list(torsos(shared_data))
    assert [case.name for case in cases] == ["crlm-1004", "lidc-0314", "nsclc-r01-001", "4dlung-113"]
    for case in cases:
        assert case.truth.names == absent_in(case.name)
        assert not any(case.truth.n_voxels().values())
        assert case.truth.grid == case.volume.grid
