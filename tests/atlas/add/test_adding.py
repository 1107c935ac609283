"""Cases enter whole, once, and without a word about who they are of."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pydicom
import pytest

from ctatlas.atlas import Atlas
from ctatlas.atlas.add import Ask, Manners, Wish
from ctatlas.atlas.add import adding as adding_module
from ctatlas.atlas.add.joining import STAGES
from ctatlas.atlas.records import CaseRecord, DatasetRecord, OriginalRecord, read_record
from ctatlas.hashing import sha256_file
from ctatlas.volume import Volume, read, write_volume
from tests.atlas.add.sources import (
    added_to,
    new_atlas,
    scan,
    write_masks,
    write_msd,
    write_nnunet,
    write_numbers,
    write_scan,
)
from tests.atlas.by_hand import everything_in
from tests.support_scans import LIVER, write_dicom


@pytest.fixture
def atlas(tmp_path: Path) -> Atlas:
    return new_atlas(tmp_path / "atlas")


def states(added: list[object]) -> dict[str, str]:
    return {one.name: one.state for one in added}  # type: ignore[attr-defined]


def test_a_case_gets_its_scan_unaltered_its_record_and_its_originals(tmp_path: Path, atlas: Atlas) -> None:
    source = write_nnunet(tmp_path / "Dataset777_Mine", licence="CC BY 4.0")
    assert states(added_to(atlas, source)) == {"case_1": "added", "case_2": "added", "case_9": "added"}
    place = atlas.place.case("Dataset777_Mine_case_1")
    stored, record = read(place.ct), read_record(CaseRecord, place.record)
    assert (stored.array == scan(0).array).all()
    assert stored.array.dtype == scan(0).array.dtype
    assert stored.grid.same_place(scan(0).grid)
    assert stored.grid == record.grid.grid()
    assert record.ct_sha256 == sha256_file(place.ct)
    assert (record.split, record.label_set) == ("train", "Dataset777_Mine/dataset.json")
    original = read_record(OriginalRecord, place.original / "labels.json")
    assert (original.annotated, original.native_ids) == (("liver", "spleen"), {"liver": 1, "spleen": 2})
    dataset = read_record(DatasetRecord, atlas.place.datasets / "Dataset777_Mine.json")
    assert (dataset.licence, dataset.layout) == ("CC BY 4.0", "nnunet")
    assert not (atlas.place.root / STAGES).exists()


def test_the_index_knows_what_was_added(tmp_path: Path, atlas: Atlas) -> None:
    from ctatlas.atlas.catalog import questions

    added_to(atlas, write_nnunet(tmp_path / "Dataset777_Mine"))
    with atlas.catalog() as catalog, catalog.session() as session:
        assert questions.case_count(session) == {"Dataset777_Mine": 3}
        assert questions.label_counts(session)["liver"]["original"] == 2


def test_a_second_time_nothing_is_read(tmp_path: Path, atlas: Atlas, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_nnunet(tmp_path / "Dataset777_Mine")
    added_to(atlas, source)
    before = everything_in(atlas.place.cases_folder)
    monkeypatch.setattr(adding_module, "take_in", None)
    assert set(states(added_to(atlas, source)).values()) == {"known"}
    assert everything_in(atlas.place.cases_folder) == before


def test_a_copy_in_another_format_is_found_said_and_recorded(tmp_path: Path, atlas: Atlas) -> None:
    added_to(atlas, write_scan(tmp_path / "a" / "one.nii.gz", code="LPS"))
    again = write_scan(tmp_path / "b" / "two.nrrd")
    (copy,) = added_to(atlas, again)
    assert (copy.state, copy.case, copy.reason) == ("copy", "one", "has the same voxels as one: not added again")
    assert [place.case for place in atlas.cases()] == ["one"]
    (recorded,) = read_record(DatasetRecord, atlas.place.datasets / "scans.json").copies
    assert recorded.copy_of == "one"
    assert states(added_to(atlas, again)) == {"two": "known"}


def test_a_copy_is_added_where_that_is_asked_for(tmp_path: Path, atlas: Atlas) -> None:
    added_to(atlas, write_scan(tmp_path / "a" / "one.nii.gz"))
    (added,) = added_to(atlas, write_scan(tmp_path / "b" / "two.nii.gz"), wish=Wish(keep_duplicates=True))
    assert added.state == "added"
    assert read_record(CaseRecord, atlas.place.case("two").record).duplicate_of == "one"


def test_a_nearly_equal_scan_is_added_and_flagged(tmp_path: Path, atlas: Atlas) -> None:
    added_to(atlas, write_scan(tmp_path / "a" / "one.nii.gz"))
    (tmp_path / "b").mkdir()
    write_volume(scan(0).crop((0, 0, 2), scan(0).grid.shape), tmp_path / "b" / "cut.nii.gz")
    (added,) = added_to(atlas, tmp_path / "b" / "cut.nii.gz")
    assert (added.state, added.near) == ("added", ("one",))
    assert read_record(CaseRecord, atlas.place.case("cut").record).near_duplicates == ("one",)


def test_a_mirrored_copy_is_flagged_and_its_header_is_asked_about(tmp_path: Path, atlas: Atlas) -> None:
    added_to(atlas, write_scan(tmp_path / "a" / "one.nii.gz"))
    given = scan(0).reoriented("RAS")
    (tmp_path / "b").mkdir()
    write_volume(Volume(np.asfortranarray(given.array[::-1]), given.grid), tmp_path / "b" / "other.nii.gz")
    (added,) = added_to(atlas, tmp_path / "b" / "other.nii.gz")
    assert added.near == ("one",)
    assert added.reason == "nearly the same as one (mirrored left to right; is its header right?)"


def test_two_sources_with_the_same_names_get_ids_of_their_own(tmp_path: Path, atlas: Atlas) -> None:
    """Upstream defect 8: the first of several scans of one name served for all."""
    added_to(atlas, write_scan(tmp_path / "a" / "ct" / "x.nii.gz", 1).parent.parent)
    added_to(atlas, write_scan(tmp_path / "b" / "ct" / "x.nii.gz", 2).parent.parent)
    assert [place.case for place in atlas.cases()] == ["ct_x", "ct_x_2"]
    assert (read(atlas.place.case("ct_x_2").ct).array == scan(2).array).all()


def test_hostile_names_stay_names(tmp_path: Path, atlas: Atlas) -> None:
    source = tmp_path / "sources" / "..%2f..%2f; rm -rf ~\n\x1b[31m.nii.gz"
    write_scan(source)
    (added,) = added_to(atlas, source)
    (place,) = atlas.cases()
    assert place.folder.parent == atlas.place.cases_folder
    assert all(letter.isalnum() or letter in "._-" for letter in place.case)
    assert read_record(CaseRecord, place.record).dataset_case.isprintable()
    assert added.name.isprintable()


def test_labels_that_come_later_join_their_case(tmp_path: Path, atlas: Atlas) -> None:
    image = write_scan(tmp_path / "s" / "img" / "case_1.nii.gz")
    added_to(atlas, tmp_path / "s", ask=Ask(dataset="LiTS"))
    write_numbers(tmp_path / "s" / "label" / "case_1.nii.gz", {"liver": 1})
    (added,) = added_to(atlas, tmp_path / "s", ask=Ask(dataset="LiTS", label_set="lits"))
    (place,) = atlas.cases()
    assert (added.state, added.case) == ("labelled", place.case)
    record = read_record(CaseRecord, place.record)
    assert record.label_set == "lits"
    assert (place.original / "liver.nii.gz").is_file()
    assert image.is_file()
    assert states(added_to(atlas, tmp_path / "s", ask=Ask(dataset="LiTS", label_set="lits"))) == {"case_1": "known"}


def test_a_scan_that_changed_at_its_source_changes_nothing_here(tmp_path: Path, atlas: Atlas) -> None:
    image = write_scan(tmp_path / "one.nii.gz")
    added_to(atlas, image)
    before = everything_in(atlas.place.cases_folder)
    write_scan(image, 5)
    os.utime(image, ns=(1, 1))
    (added,) = added_to(atlas, image)
    assert (added.state, added.case) == ("changed", "one")
    assert everything_in(atlas.place.cases_folder) == before


def test_labels_that_changed_at_their_source_change_nothing_here(tmp_path: Path, atlas: Atlas) -> None:
    write_scan(tmp_path / "s" / "img" / "case_1.nii.gz")
    label = write_numbers(tmp_path / "s" / "label" / "case_1.nii.gz", {"liver": 1})
    ask = Ask(dataset="LiTS", label_set="lits")
    added_to(atlas, tmp_path / "s", ask=ask)
    write_numbers(label, {"spleen": 1})
    os.utime(label, ns=(1, 1))
    (added,) = added_to(atlas, tmp_path / "s", ask=ask)
    assert added.state == "changed"
    assert "other labels" in added.reason


def test_one_bad_case_stops_no_other(tmp_path: Path, atlas: Atlas) -> None:
    source = write_nnunet(tmp_path / "Dataset777_Mine", ("a", "b", "c"))
    (source / "imagesTr" / "a_0000.nii.gz").write_bytes(b"\x1f\x8bnot a gzip")
    write_numbers(source / "labelsTr" / "b.nii.gz", {"liver": 7})
    added = added_to(atlas, source)
    assert states(added) == {"a": "failed", "b": "failed", "c": "added", "case_9": "added"}
    assert "holds number 7" in next(one.reason for one in added if one.name == "b")
    assert not (atlas.place.root / STAGES).exists()
    assert len(list(atlas.place.cases_folder.iterdir())) == 2


def test_what_is_no_ct_is_refused(tmp_path: Path, atlas: Atlas) -> None:
    from ctatlas.volume import Volume, write_volume

    (tmp_path / "x").mkdir()
    write_volume(Volume(abs(scan(0).array), scan(0).grid), tmp_path / "x" / "mr.nii.gz")
    (added,) = added_to(atlas, tmp_path / "x")
    assert (added.state, "no CT in Hounsfield units" in added.reason) == ("failed", True)


@pytest.mark.parametrize("workers", [2])
def test_workers_change_no_byte(tmp_path: Path, workers: int) -> None:
    source = write_nnunet(tmp_path / "Dataset777_Mine")
    write_scan(source / "imagesTs" / "zz_0000.nii.gz", 0)  # a copy of the first
    one, several = new_atlas(tmp_path / "one"), new_atlas(tmp_path / "several")
    alone = added_to(one, source)
    together = added_to(several, source, wish=Wish(workers=workers))
    assert [(each.case, each.state) for each in alone] == [(each.case, each.state) for each in together]
    assert everything_in(one.place.cases_folder) == everything_in(several.place.cases_folder)


def test_shards_give_the_same_ids_as_one_job(tmp_path: Path) -> None:
    source = write_nnunet(tmp_path / "Dataset777_Mine")
    one, sharded = new_atlas(tmp_path / "one"), new_atlas(tmp_path / "sharded")
    added_to(one, source)
    for shard in ("2/2", "1/2"):
        added_to(sharded, source, shard=shard)
    assert _scans(one) == _scans(sharded)


def _scans(atlas: Atlas) -> dict[str, tuple[str, str]]:
    """Return what does not depend on what other jobs had done by then."""
    records = [read_record(CaseRecord, place.record) for place in atlas.cases()]
    return {record.case: (record.ct_sha256, record.origin) for record in records}


@pytest.mark.parametrize("at", ["write_originals", "_record", "voxels_sha256"])
def test_whenever_it_is_interrupted_only_whole_cases_are_there(
    tmp_path: Path, atlas: Atlas, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    from ctatlas.atlas.add import intake

    undisturbed = new_atlas(tmp_path / "undisturbed")
    source = write_nnunet(tmp_path / "Dataset777_Mine")
    added_to(undisturbed, source)
    real, calls = getattr(intake, at), []

    def interrupt(*words: object, **named: object) -> object:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*words, **named)

    monkeypatch.setattr(intake, at, interrupt)
    with pytest.raises(KeyboardInterrupt):
        added_to(atlas, source)
    assert [place.case for place in atlas.cases()] == ["Dataset777_Mine_case_1"]
    assert len(list(atlas.place.cases_folder.iterdir())) == 1
    monkeypatch.setattr(intake, at, real)
    added_to(atlas, source)
    assert everything_in(atlas.place.cases_folder) == everything_in(undisturbed.place.cases_folder)


def test_a_killed_runs_left_overs_are_removed(tmp_path: Path, atlas: Atlas) -> None:
    half = atlas.place.root / STAGES / "HALF"
    half.mkdir(parents=True)
    (half / "ct.nii.gz").write_bytes(b"half")
    added_to(atlas, write_scan(tmp_path / "one.nii.gz"))
    assert not (atlas.place.root / STAGES).exists()


def test_dicom_enters_without_who_it_is_of(tmp_path: Path, atlas: Atlas) -> None:
    secrets = {
        "PatientName": "Mueller^Hans",
        "PatientID": "4711-0815",
        "PatientBirthDate": "19501224",
        "AccessionNumber": "ACC99887766",
        "InstitutionName": "Klinikum Nirgendwo",
        "SeriesDescription": "Hans Mueller portalvenoes",
        "Manufacturer": "SIEMENS",
        "ManufacturerModelName": "Hans Scanner",
        "KVP": "120",
        "ConvolutionKernel": "B30f",
    }
    folder = write_dicom(scan(0), tmp_path / "export" / "Mueller_Hans_19501224", **secrets)
    other = {"StudyInstanceUID": "1.2.3.4.5", "SeriesInstanceUID": "1.2.3.4.6"}
    write_dicom(scan(1), tmp_path / "export" / "Mueller_Hans_again", **secrets, **other)
    first, second = added_to(atlas, folder.parent)
    assert [first.state, second.state] == ["added", "added"]
    records = [read_record(CaseRecord, place.record) for place in atlas.cases()]
    assert records[0].patient == records[1].patient
    assert records[0].patient.startswith("CTA-")
    assert records[0].phase == "portal"
    scanner = records[0].scanner
    assert (scanner.manufacturer, scanner.kilovolts, scanner.kernel, scanner.model) == ("SIEMENS", 120.0, "B30f", None)
    atlas.synchronise()
    everything = b"".join(everything_in(atlas.place.root).values()) + "".join(everything_in(atlas.place.root)).encode()
    uid = str(read(folder).facts.series_uid).encode()
    for word in (b"Mueller", b"Hans", b"4711", b"19501224", b"ACC9988", b"Nirgendwo", uid, bytes(tmp_path)):
        assert word not in everything, word


def test_a_dicom_that_fails_leaves_no_name_in_what_is_said(tmp_path: Path, atlas: Atlas) -> None:
    folder = write_dicom(scan(0), tmp_path / "Mueller_Hans", SeriesDescription="Mueller, Hans: Abdomen")
    sorted(folder.iterdir())[7].unlink()  # a slice is missing
    (added,) = added_to(atlas, folder)
    assert added.state == "failed"
    assert "irregular" in added.reason
    assert "Mueller" not in added.reason + added.name
    assert "Mueller" in str(added.entry)  # for the terminal alone


def test_a_head_is_refused_unless_asked_for(tmp_path: Path, atlas: Atlas) -> None:
    folder = write_dicom(scan(0), tmp_path / "x", SeriesDescription="Neck 3.0", StudyDescription="Hals")
    (added,) = added_to(atlas, folder)
    assert (added.state, "head, face or neck" in added.reason) == ("failed", True)
    (added,) = added_to(atlas, folder, wish=Wish(manners=Manners(allow_head=True)))
    assert added.state == "added"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, "1 of its 31 images: is a screen copy"),
        ({"BodyPartExamined": "HEAD"}, "1 of its 31 images: says it shows head, face or neck"),
        ({"PatientName": "Mueller^Hans"}, "1 of its 31 images: has a name or number of the patient as text"),
        ({"BurnedInAnnotation": "YES"}, "slice missing"),  # the reader leaves such an image aside
    ],
)
def test_no_image_that_deidentification_refuses_enters(
    tmp_path: Path, atlas: Atlas, change: dict[str, object], said: str
) -> None:
    """One image amid the series is enough, whatever the first says."""
    folder = write_dicom(scan(0), tmp_path / "head")  # a name that must not be cut out of what is said
    path = sorted(folder.iterdir())[9]
    image = pydicom.dcmread(path)
    for keyword, value in change.items():
        setattr(image, keyword, value)
    if "PatientName" in change:
        image.PixelData = image.PixelData[:40] + b"Mueller" + image.PixelData[47:]
    image.save_as(path)
    (added,) = added_to(atlas, folder)
    assert (added.state, said in added.reason) == ("failed", True), added.reason
    assert list(atlas.cases()) == []


def test_the_decathlon_from_end_to_end(tmp_path: Path, atlas: Atlas) -> None:
    added_to(atlas, write_msd(tmp_path / "Task09_Spleen"))
    place = atlas.place.case("Task09_Spleen_spleen_2")
    assert read_record(OriginalRecord, place.original / "labels.json").annotated == ("spleen",)
    assert read_record(CaseRecord, atlas.place.case("Task09_Spleen_spleen_7").record).split == "test"
    dataset = read_record(DatasetRecord, atlas.place.datasets / "Task09_Spleen.json")
    assert (dataset.licence, dataset.citation) == ("CC-BY-SA 4.0", "A clinic")


def test_a_release_of_abdomenatlas_from_end_to_end(tmp_path: Path, atlas: Atlas) -> None:
    write_scan(tmp_path / "r" / "BDMAP_00000001" / "ct.nii.gz")
    write_masks(tmp_path / "r" / "BDMAP_00000001" / "segmentations", liver=LIVER, postcava=None)
    added_to(atlas, tmp_path / "r")
    original = read_record(OriginalRecord, atlas.place.case("BDMAP_00000001").original / "labels.json")
    assert set(original.annotated) == {"liver", "inferior_vena_cava"}
    assert original.masks["liver"].n_voxels > 0


def test_real_torsos_and_the_same_scan_as_dicom(tmp_path: Path, atlas: Atlas, shared_data: Path) -> None:
    source = tmp_path / "torsos"
    source.mkdir()
    for name in ("crlm-1004_ct.nii.gz", "crlm-1004_dicom.zip"):
        (source / name).symlink_to(shared_data / "torso_ct" / name)
    one, two = added_to(atlas, source)
    assert (one.state, two.state, two.case) == ("added", "copy", "crlm-1004_ct")
