from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import ctatlas
from ctatlas.errors import ModelError, ScanError
from ctatlas.inference import View, infer
from ctatlas.inference.nnunet import predict_nnunet
from ctatlas.models import load
from ctatlas.volume import Grid, Volume
from tests.support.nnunet_folders import Folder, write_folder, write_folders
from tests.support.nnunet_scans import noisy_scan

SPACING = (1.1, 1.3, 1.7)
REGIONS = {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "liver": 3}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture
def scan() -> Volume:
    return Volume(noisy_scan((40, 38, 34)), Grid((40, 38, 34), np.diag([-1.1, -1.3, 1.7, 1.0])))


def _labels(scan: Volume, place: Path) -> np.ndarray:
    """Return what nnU-Net gives of a scan that lies as its reader wants it, (i, j, k)."""
    return predict_nnunet(scan.array.transpose(2, 1, 0)[None], SPACING[::-1], place).transpose(2, 1, 0)


def test_segment_gives_the_labels_by_name(scan: Volume, tmp_path: Path) -> None:
    place = write_folder(tmp_path, Folder(labels={"background": 0, "liver": 1, "Tumor Bed": 2, "spleen": 3}))
    labels = _labels(scan, place)

    found = ctatlas.segment(scan, model=place)

    assert found.names == ("liver", "Tumor_Bed", "spleen")
    assert all((found.mask(name) == (labels == value)).all() for value, name in enumerate(found.names, start=1))
    assert (labels == 2).any()


@pytest.mark.parametrize("code", ["RAS", "SLA"])
def test_however_a_scan_was_stored_the_same_is_found(code: str, scan: Volume, tmp_path: Path) -> None:
    place = write_folder(tmp_path, Folder())
    found, turned = ctatlas.segment(scan, model=place), ctatlas.segment(scan.reoriented(code), model=place)

    assert turned.grid.orientation == code
    assert (
        turned.reoriented("LPS").combined({"liver": 1, "spleen": 2, "pancreas": 3})
        == found.combined({"liver": 1, "spleen": 2, "pancreas": 3})
    ).all()


def test_a_region_is_all_its_labels(scan: Volume, tmp_path: Path) -> None:
    place = write_folder(tmp_path, Folder(labels=REGIONS, regions_order=(1, 2, 3)))
    labels = _labels(scan, place)

    found = ctatlas.segment(scan, model=place)

    assert (found.mask("whole") == (labels > 0)).all()
    assert (found.mask("core") == (labels > 1)).all()
    assert (found.mask("liver") == (labels == 3)).all()
    assert len(np.unique(labels)) == 4


def test_a_model_of_two_channels_is_refused_in_a_line(scan: Volume, tmp_path: Path) -> None:
    two = Folder(channels={"0": "CT", "1": "PET"}, schemes=("CTNormalization",) * 2, use_mask=(False, False))

    with pytest.raises(ScanError, match=r"with 2 channels \(CT, PET\)"):
        ctatlas.segment(scan, model=write_folder(tmp_path, two))


def test_no_other_view_of_a_scan_is_shown(scan: Volume, tmp_path: Path) -> None:
    model = load(write_folder(tmp_path, Folder()))

    with pytest.raises(ModelError, match="in no other view"):
        infer(scan, model, view=View(mirrored=True))


@pytest.mark.parametrize(("code", "transpose"), [("LPS", (0, 1, 2)), ("SRA", (2, 0, 1))])
def test_probabilities_lie_where_the_labels_lie(
    code: str, transpose: tuple[int, int, int], scan: Volume, tmp_path: Path
) -> None:
    place = write_folder(tmp_path, Folder(transpose=transpose, spacing=(2.0, 1.9, 1.8)))
    turned = scan.reoriented(code)

    found = infer(turned, load(place), save_probabilities=True, save_entropy=True, keep_network=True)

    assert found.entropy is not None
    assert found.network is not None
    of_structures = np.stack([found.probabilities[name] for name in found.segmentation.names]).astype(int)
    of_all = np.concatenate((255 - of_structures.sum(0, keepdims=True), of_structures))
    labels = found.segmentation.combined({"liver": 1, "spleen": 2, "pancreas": 3})
    sure = of_all.max(0) > 0.8 * 255
    assert (labels == of_all.argmax(0))[sure].all()
    assert (labels == of_all.argmax(0)).mean() > 0.98
    assert found.entropy[sure].mean() < found.entropy[labels > 0].mean()
    assert found.network.planes.shape[1:] == found.network.grid.shape


def test_a_cascade_reads_the_labels_of_the_stage_beside_it(scan: Volume, tmp_path: Path) -> None:
    lowres = Folder(configuration="3d_lowres", spacing=(2.5, 2.5, 2.5), patch=(16, 16, 16))
    first, second = write_folders(
        tmp_path, [lowres, Folder(configuration="3d_cascade_fullres", previous_stage="3d_lowres", seed=5)]
    )
    image = scan.array.transpose(2, 1, 0)[None]
    stage = predict_nnunet(image, SPACING[::-1], first)
    expected = predict_nnunet(image, SPACING[::-1], second, previous=stage).transpose(2, 1, 0)

    found = ctatlas.segment(scan, model=second)

    assert (found.combined({"liver": 1, "spleen": 2, "pancreas": 3}) == expected).all()
    assert len(np.unique(stage)) > 1


def test_a_cascade_without_its_former_stage_says_what_is_missing(scan: Volume, tmp_path: Path) -> None:
    lowres = Folder(configuration="3d_lowres")
    first, second = write_folders(
        tmp_path, [lowres, Folder(configuration="3d_cascade_fullres", previous_stage="3d_lowres")]
    )
    shutil.rmtree(first)

    with pytest.raises(ModelError, match=r"reads the labels of the stage 3d_lowres, and there is no .*__3d_lowres"):
        ctatlas.segment(scan, model=second)
