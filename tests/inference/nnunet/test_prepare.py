from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ctatlas.errors import ScanError
from ctatlas.inference.nnunet.prepare import prepare
from ctatlas.inference.nnunet.room import memory
from ctatlas.models.nnunet import NnunetFolder, open_folder
from tests.support.nnunet_folders import Folder, write_folder

SPACING = (1.5, 1.5, 1.5)


def _opened(tmp_path: Path, folder: Folder) -> NnunetFolder:
    return open_folder(write_folder(tmp_path, folder))


def _image(*values: float) -> np.ndarray:
    """Return a (1, 5, 6, 7) image of zeros with these values along its middle."""
    image = np.zeros((1, 5, 6, 7), np.float32)
    image[0, 2, 3, 1 : 1 + len(values)] = values
    return image


def test_ct_is_clipped_and_divided_as_the_plans_say(tmp_path: Path) -> None:
    found = prepare(_image(-2000, 50, 2000), SPACING, _opened(tmp_path, Folder()))

    # mean 50, s.d. 200, percentiles -800 and 900
    assert found.inputs.ravel().tolist() == pytest.approx([-4.25, 0, 4.25])


def test_z_scores_are_those_of_what_is_left_after_the_crop(tmp_path: Path) -> None:
    folder = _opened(tmp_path, Folder(schemes=("ZScoreNormalization",)))

    found = prepare(_image(1, 2, 3), SPACING, folder)

    assert found.inputs.ravel().tolist() == pytest.approx([-1.2247449, 0, 1.2247449])


def test_z_scores_within_a_mask_leave_the_rest_as_it_is(tmp_path: Path) -> None:
    folder = _opened(tmp_path, Folder(schemes=("ZScoreNormalization",), use_mask=(True,)))
    image = _image(1, 0, 3)

    found = prepare(image, SPACING, folder)

    assert found.inputs.ravel().tolist() == pytest.approx([-1, 0, 1])


def test_values_go_from_nought_to_one(tmp_path: Path) -> None:
    folder = _opened(tmp_path, Folder(schemes=("RescaleTo01Normalization",)))

    assert prepare(_image(-3, 1, 5), SPACING, folder).inputs.ravel().tolist() == pytest.approx([0, 0.5, 1])


def test_colours_are_divided_by_255_and_others_refused(tmp_path: Path) -> None:
    folder = _opened(tmp_path, Folder(schemes=("RGBTo01Normalization",)))

    assert prepare(_image(51, 255), SPACING, folder).inputs.ravel().tolist() == pytest.approx([0.2, 1])
    with pytest.raises(ScanError, match="colours from 0 to 255; found 51 to 256"):
        prepare(_image(51, 256), SPACING, folder)


def test_one_value_everywhere_divides_by_no_nought(tmp_path: Path) -> None:
    for number, scheme in enumerate(("ZScoreNormalization", "RescaleTo01Normalization")):
        folder = _opened(tmp_path / str(number), Folder(schemes=(scheme,)))
        assert prepare(_image(7, 7), SPACING, folder).inputs.ravel().tolist() == [0, 0]


def test_an_image_of_zeros_is_kept_whole(tmp_path: Path) -> None:
    found = prepare(_image(), SPACING, _opened(tmp_path, Folder()))

    assert found.inputs.shape == (1, 5, 6, 7)
    assert found.way.box.shape == (5, 6, 7)


def test_the_image_given_stays_as_it_was(tmp_path: Path) -> None:
    image = _image(-2000, 50, 2000)

    prepare(image, SPACING, _opened(tmp_path, Folder()))

    assert (image == _image(-2000, 50, 2000)).all()


def test_what_would_not_fit_is_refused_before_it_is_made(tmp_path: Path) -> None:
    image = np.ones((1, 40, 512, 512), np.float32)
    side = (memory() * 8 / 512**2 / 40) ** (1 / 3)

    with pytest.raises(ScanError, match=r"on the model's grid the scan has .* GB, and this machine has"):
        prepare(image, SPACING, _opened(tmp_path, Folder(spacing=(1.5 / side,) * 3)))


def test_a_cascade_reads_its_labels_as_channels(tmp_path: Path) -> None:
    folder = _opened(tmp_path, Folder(configuration="3d_cascade_fullres", previous_stage="3d_lowres"))
    previous = np.zeros((5, 6, 7), np.int16)
    previous[2, 3, 1:4] = 3, 0, 1

    found = prepare(_image(50, 50, 50), SPACING, folder, previous)

    assert found.inputs[:, 0, 0].tolist() == [[0, 0, 0], [0, 0, 1], [0, 0, 0], [1, 0, 0]]


def test_labels_nobody_asked_for_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ScanError, match="takes no labels of a former stage"):
        prepare(_image(1), SPACING, _opened(tmp_path, Folder()), np.zeros((5, 6, 7), np.int16))
