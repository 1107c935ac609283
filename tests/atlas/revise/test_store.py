from pathlib import Path

import numpy as np
import pytest

from ctatlas.atlas.layout import CasePlace
from ctatlas.atlas.records import RevisionRecord, read_record
from ctatlas.atlas.revise import store_revision
from ctatlas.errors import AtlasError
from ctatlas.execution import whole_record
from ctatlas.hashing import sha256_file
from ctatlas.volume import read_labels
from tests.atlas.by_hand import GRID, box, everything_in, new_atlas, new_case

SHOWN = {"liver": box((2, 8), (2, 8), (2, 6)), "spleen": box((9, 12), (1, 4), (2, 5))}


@pytest.fixture
def place(tmp_path: Path) -> CasePlace:
    return new_case(new_atlas(tmp_path / "atlas"))


def store(place: CasePlace, masks: dict[str, np.ndarray], **changes: object) -> RevisionRecord:
    words = {"author": "ann", "minutes": 3.5, "tool": "3D Slicer", "reason": "hot spot", "created": "2026-01-02T03:04Z"}
    return store_revision(place, masks, before=SHOWN, **(words | changes))  # type: ignore[arg-type]


def test_what_changed_is_stored_and_what_did_not_is_recorded_as_reviewed(place: CasePlace) -> None:
    grown = SHOWN["liver"] | box((8, 9), (2, 8), (2, 6))
    grown[2, 2, 2] = False
    record = store(place, {"liver": grown, "spleen": SHOWN["spleen"].copy()})
    folder = place.revision(1)
    assert read_record(RevisionRecord, folder / "revision.json") == record
    assert record.reviewed == ("liver", "spleen")
    assert list(record.masks) == ["liver"]
    liver = record.masks["liver"]
    assert liver.n_voxels == grown.sum()
    assert liver.added_ml == pytest.approx(24 * GRID.voxel_ml)
    assert liver.removed_ml == pytest.approx(GRID.voxel_ml)
    assert liver.sha256 == sha256_file(folder / "liver.nii.gz")
    found = read_labels(folder / "liver.nii.gz")
    assert found.grid.is_like(GRID)
    np.testing.assert_array_equal(found.labels, grown)
    assert not (folder / "spleen.nii.gz").exists()


def test_revisions_are_numbered_and_never_altered(place: CasePlace) -> None:
    first = store(place, {"liver": box((0, 3))})
    bytes_of_first = everything_in(place.revision(1))
    second = store(place, {"liver": box((0, 4))})
    assert (first.number, second.number) == (1, 2)
    assert everything_in(place.revision(1)) == bytes_of_first
    assert [path.name for path in place.revisions()] == ["0001", "0002"]


def test_a_structure_without_a_mask_that_is_said_to_be_absent_is_stored(place: CasePlace) -> None:
    record = store(place, {"gallbladder": np.zeros(GRID.shape, bool)})
    assert record.masks["gallbladder"].n_voxels == 0


def test_the_same_correction_gives_the_same_bytes(tmp_path: Path) -> None:
    folders = []
    for name in ("a", "b"):
        place = new_case(new_atlas(tmp_path / name))
        store(place, {"spleen": box((1, 2)), "liver": box((0, 3))})
        folders.append(everything_in(place.revision(1)))
    assert folders[0] == folders[1]


def test_what_an_interrupted_process_left_is_taken_again(place: CasePlace) -> None:
    left = place.revision(1) / ".ctatlas-partial" / "content"
    left.mkdir(parents=True)
    (left / "liver.nii.gz").write_bytes(b"half")
    assert store(place, {"liver": box((0, 3))}).number == 1
    assert whole_record(place.revision(1)) is not None
    (place.revision(2)).mkdir()
    (place.revision(2) / "run.json").write_text('{"whole": false, "files": {"liver.nii.gz": 0}}')
    (place.revision(2) / "liver.nii.gz").write_bytes(b"half moved")
    assert store(place, {"liver": box((0, 4))}).number == 2


def test_a_damaged_revision_is_not_overwritten(place: CasePlace) -> None:
    store(place, {"liver": box((0, 3))})
    (place.revision(1) / "liver.nii.gz").unlink()
    assert store(place, {"liver": box((0, 4))}).number == 2
    assert (place.revision(1) / "revision.json").is_file()


@pytest.mark.parametrize("minutes", [-1.0, float("nan"), float("inf")])
def test_minutes_that_cannot_be_are_refused(place: CasePlace, minutes: float) -> None:
    with pytest.raises(AtlasError, match="minutes"):
        store(place, {"liver": box((0, 3))}, minutes=minutes)
    assert place.revisions() == []


def test_a_mask_of_another_shape_is_refused(place: CasePlace) -> None:
    with pytest.raises(AtlasError, match="mask of liver has 3 x 3 x 3 voxels, the scan 13 x 11 x 9"):
        store(place, {"liver": np.zeros((3, 3, 3), bool)})
    assert not place.revision(1).exists()


def test_nothing_at_all_is_no_revision(place: CasePlace) -> None:
    with pytest.raises(AtlasError, match="nothing was revised"):
        store(place, {})
