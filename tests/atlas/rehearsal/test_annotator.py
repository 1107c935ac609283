"""The simulated annotator changes what a hot spot's box holds, within the minutes, and nothing else."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ctatlas.atlas.records import HotSpot
from ctatlas.atlas.rehearsal import Rehearsal, rehearse
from ctatlas.atlas.rehearsal.annotator import correct
from ctatlas.atlas.rehearsal.gain import dice_of
from ctatlas.atlas.rehearsal.picture import Pictured, picture
from ctatlas.errors import AtlasError
from ctatlas.volume import Segmentation, Volume, read_labels, write_mask
from tests.atlas.by_hand import GRID, box

LIVER, SPLEEN = box((0, 6)), box((7, 11))
TRUTH = Segmentation.from_masks(GRID, {"liver": LIVER, "spleen": SPLEEN, "colon": box((12, 13))})


def spot(structure: str, lo: tuple[int, int, int], hi: tuple[int, int, int], minutes: float) -> HotSpot:
    figures = {"center_mm": (0.0, 0.0, 0.0), "ml": 1.0, "score": 0.5, "reason": "a test", "minutes": minutes}
    return HotSpot(structure=structure, lo=lo, hi=hi, **figures)  # type: ignore[arg-type]


@pytest.fixture
def package(tmp_path: Path) -> Path:
    (tmp_path / "segmentations").mkdir()
    for name, mask in {"liver": box((0, 3)), "spleen": box((7, 8))}.items():
        write_mask(mask, GRID, tmp_path / "segmentations" / f"{name}.nii.gz")
    spots = [
        spot("aorta", (0, 0, 0), GRID.shape, 1.0),  # the truth does not know it
        spot("liver", (2, 0, 0), (5, 4, 9), 4.0),
        spot("spleen", (0, 0, 0), GRID.shape, 20.0),  # longer than there is time for
        spot("liver", (12, 0, 0), (13, 11, 9), 5.0),
    ]
    listed = {"case": "one", "hotspots": [each.model_dump() for each in spots]}
    (tmp_path / "hotspots.json").write_text(json.dumps(listed))
    return tmp_path


def test_only_boxes_are_corrected_and_only_while_there_is_time(package: Path) -> None:
    worked = correct(package, TRUTH, at_most_minutes=10)
    assert [(each.structure, each.minutes) for each in worked.spots] == [("liver", 4.0), ("liver", 5.0)]
    assert worked.minutes == 9
    revised = read_labels(package / "segmentations" / "liver_revised.nii.gz").labels != 0
    np.testing.assert_array_equal(revised, box((0, 3)) | box((2, 5), (0, 4)))
    assert not (package / "segmentations" / "spleen_revised.nii.gz").exists()
    shown = read_labels(package / "segmentations" / "liver.nii.gz").labels != 0
    np.testing.assert_array_equal(shown, box((0, 3)))


def test_dice_is_of_masks_whose_structure_is_there(package: Path) -> None:
    found = dice_of(package / "segmentations", TRUTH)
    assert found == {"liver": pytest.approx(2 * 3 / 9), "spleen": pytest.approx(2 * 1 / 5)}


def test_the_picture_shows_before_and_after() -> None:
    before = Segmentation.from_masks(GRID, {"liver": box((0, 3)), "spleen": SPLEEN})
    heat = np.asfortranarray(box((3, 6)) * np.uint8(200))
    scan = Volume(np.zeros(GRID.shape, np.int16, order="F"), GRID)
    shown = Pictured("a title", scan, ["liver"], before, TRUTH.select(["liver", "spleen"]), TRUTH, heat)
    drawn = np.asarray(Image.open(io.BytesIO(picture(shown))).convert("RGB")).astype(int)
    glowing = (drawn[..., 0] > drawn[..., 2] + 60) & (drawn[..., 1] < drawn[..., 0] - 20)
    upper, lower = np.array_split(glowing, 2)
    assert upper.sum() > 4 * lower.sum()


def test_a_long_legend_stays_within_the_picture() -> None:
    names = [f"structure_of_thirty_letters_{n:02d}" for n in range(12)]
    everything = Segmentation.from_masks(GRID, dict.fromkeys(names, LIVER))
    scan = Volume(np.zeros(GRID.shape, np.int16, order="F"), GRID)
    heat = np.zeros(GRID.shape, np.uint8, order="F")
    shown = Pictured("a title", scan, names, everything, everything, everything, heat)
    drawn = np.asarray(Image.open(io.BytesIO(picture(shown))).convert("RGB")).astype(int)
    below = drawn[-drawn.shape[0] // 14 :]
    assert below.std(axis=(0, 1)).max() > 5  # there is a legend
    assert below[:, :3].std() < 1
    assert below[:, -3:].std() < 1


def test_a_folder_that_holds_something_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(AtlasError, match="not empty"):
        next(rehearse(Rehearsal(tmp_path, ("ctatlas/base",))))
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
