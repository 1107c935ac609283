"""Each layout lists its cases, with their labels, their splits and what is wrong with others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ctatlas.atlas.add import LAYOUTS, Ask, listed
from ctatlas.errors import ModelError, ScanError
from tests.atlas.add.sources import names, write_masks, write_msd, write_nnunet, write_numbers, write_scan


def test_a_folder_of_scans_in_several_formats_is_flat(tmp_path: Path) -> None:
    write_scan(tmp_path / "one.nii.gz")
    write_scan(tmp_path / "below" / "two.nrrd", 1)
    listing = listed(tmp_path, Ask())
    assert listing.layout == "images"
    assert names(listing) == ["one", "below_two"]
    assert {one.dataset for one in listing.found} == {tmp_path.name}


def test_pairs_are_matched_by_name_where_positions_would_mislead(tmp_path: Path) -> None:
    """Upstream defect 7: sorted lists pair img10 with label2, and a missing label shifts all that follow."""
    for number in (1, 2, 10):
        write_scan(tmp_path / "BTCV" / "img" / f"img{number}.nii.gz", number)
    for number in (2, 10):
        write_numbers(tmp_path / "BTCV" / "label" / f"label{number:04d}.nii.gz", {"liver": 6})
    listing = listed(tmp_path / "BTCV", Ask())
    assert listing.layout == "pairs"
    pairs = {one.source.path.name: one.labels.name if one.labels else None for one in listing.found}
    assert pairs == {"img1.nii.gz": None, "img2.nii.gz": "label0002.nii.gz", "img10.nii.gz": "label0010.nii.gz"}
    assert {one.label_set for one in listing.found} == {None, "btcv"}
    assert listing.remarks == ("1 of 3 images have no label",)


def test_a_label_without_an_image_and_an_image_with_two_labels_are_faults(tmp_path: Path) -> None:
    write_scan(tmp_path / "img" / "case_1.nii.gz")
    write_numbers(tmp_path / "label" / "case_1_a.nii.gz", {"liver": 1})
    write_numbers(tmp_path / "label" / "case_1_b.nii.gz", {"liver": 1})
    write_scan(tmp_path / "img" / "case_3.nii.gz", 3)
    write_numbers(tmp_path / "label" / "case_4.nii.gz", {"liver": 1})
    listing = listed(tmp_path, Ask(label_set="lits"))
    assert names(listing) == ["case_3"]
    assert "2 labels may belong to it" in listing.faults[0].reason
    assert [fault.name for fault in listing.faults[1:]] == ["case_1_a", "case_1_b", "case_4"]


def test_labels_of_an_unknown_dataset_need_a_label_set(tmp_path: Path) -> None:
    write_scan(tmp_path / "case_1.nii.gz")
    write_numbers(tmp_path / "case_1_seg.nii.gz", {"liver": 1})
    with pytest.raises(ScanError, match="whose numbers are these"):
        listed(tmp_path, Ask())
    assert listed(tmp_path, Ask(label_set="none")).found[0].labels is None
    assert listed(tmp_path, Ask(label_set="lits")).found[0].label_set == "lits"
    with pytest.raises(ModelError, match="no label set is called"):
        listed(tmp_path, Ask(label_set="litz"))


def test_nnunet_raw_data(tmp_path: Path) -> None:
    listing = listed(write_nnunet(tmp_path / "Dataset777_Mine"), Ask())
    assert listing.layout == "nnunet"
    assert [(one.name, one.split, bool(one.labels)) for one in listing.found] == [
        ("case_1", "train", True),
        ("case_2", "train", True),
        ("case_9", "test", False),
    ]
    assert listing.found[0].case == "Dataset777_Mine_case_1"
    assert listing.found[0].label_set == str(tmp_path / "Dataset777_Mine" / "dataset.json")


def test_nnunet_names_a_missing_label_and_refuses_several_channels(tmp_path: Path) -> None:
    folder = write_nnunet(tmp_path / "Dataset777_Mine")
    (folder / "labelsTr" / "case_2.nii.gz").unlink()
    listing = listed(folder, Ask())
    assert [(fault.name, fault.reason) for fault in listing.faults] == [("case_2", "labelsTr/case_2.nii.gz is missing")]
    write_nnunet(folder, channel_names={"0": "CT", "1": "PET"})
    with pytest.raises(ScanError, match="expected one channel, CT"):
        listed(folder, Ask())


def test_nnunet_files_named_by_the_description_stay_below_it(tmp_path: Path) -> None:
    files = {"one": {"images": ["../../../etc/passwd"], "label": "labelsTr/case_1.nii.gz"}}
    folder = write_nnunet(tmp_path / "Dataset777_Mine", dataset=files)
    with pytest.raises(ScanError, match="leads out of the folder"):
        listed(folder, Ask())


def test_the_decathlon_with_its_own_table_licence_and_splits(tmp_path: Path) -> None:
    listing = listed(write_msd(tmp_path / "Task09_Spleen"), Ask())
    assert listing.layout == "msd"
    assert [(one.name, one.split, one.label_set) for one in listing.found] == [
        ("spleen_2", "train", "msd-09-spleen"),
        ("spleen_7", "test", None),
    ]
    assert listing.licences == {"Task09_Spleen": "CC-BY-SA 4.0"}


def test_the_decathlon_refuses_mr_and_paths_that_lead_away(tmp_path: Path) -> None:
    with pytest.raises(ScanError, match="only CT"):
        listed(write_msd(tmp_path / "Task02_Heart", modality={"0": "MRI"}), Ask())
    away = write_msd(tmp_path / "Task09_Spleen", test=["/etc/passwd"])
    assert [fault.name for fault in listed(away, Ask()).faults] == ["passwd"]


def test_a_folder_of_decathlon_tasks(tmp_path: Path) -> None:
    write_msd(tmp_path / "Task09_Spleen")
    write_msd(tmp_path / "Task02_Heart", modality={"0": "MRI"})
    listing = listed(tmp_path, Ask())
    assert len(listing.found) == 2
    assert "Task02_Heart: its modality" in listing.remarks[0]


def test_the_published_pipelines_tree_keeps_cases_apart(tmp_path: Path) -> None:
    """Upstream defect 8: every `<case>/ct.nii.gz` went to one folder `ct`, and the first scan served all."""
    for number, case in enumerate(("liver_0", "liver_1")):
        write_scan(tmp_path / "04_LiTS" / case / "ct.nii.gz", number)
        write_numbers(tmp_path / "04_LiTS" / case / "original_label.nii.gz", {"liver": 1})
        write_numbers(tmp_path / "04_LiTS" / case / "backbones" / "unet" / "pseudo_label.nii.gz", {"liver": 6})
    listing = listed(tmp_path, Ask())
    assert listing.layout == "pipeline"
    assert [(one.case, one.dataset, one.label_set) for one in listing.found] == [
        ("04_LiTS_liver_0", "04_LiTS", "lits"),
        ("04_LiTS_liver_1", "04_LiTS", "lits"),
    ]
    assert "2 cases have predictions" in listing.remarks[0]


def test_the_assembled_8k_layout_knows_the_dataset_by_the_cases_name(tmp_path: Path) -> None:
    folder = tmp_path / "10_Decathlon_liver_7"
    write_scan(folder / "ct.nii.gz")
    write_numbers(folder / "original_label.nii.gz", {"liver": 1})
    (folder / "pseudo_label.nii.gz").write_bytes(b"")
    listing = listed(tmp_path, Ask(dataset="AbdomenAtlas-8K"))
    assert (listing.layout, listing.found[0].label_set) == ("pipeline", "msd-03-liver")


def test_an_abdomenatlas_release_and_cases_that_come_without_a_scan(tmp_path: Path) -> None:
    write_scan(tmp_path / "BDMAP_00000001" / "ct.nii.gz")
    write_masks(tmp_path / "BDMAP_00000001" / "segmentations", liver=None, postcava=None)
    write_masks(tmp_path / "BDMAP_00005196" / "segmentations", liver=None)
    listing = listed(tmp_path, Ask())
    assert (listing.layout, names(listing)) == ("abdomenatlas", ["BDMAP_00000001"])
    assert listing.faults[0].name == "BDMAP_00005196"
    assert "no ct.nii.gz" in listing.faults[0].reason


def test_combined_labels_alone_do_not_say_which_release_they_are(tmp_path: Path) -> None:
    write_scan(tmp_path / "BDMAP_00000001" / "ct.nii.gz")
    write_numbers(tmp_path / "BDMAP_00000001" / "combined_labels.nii.gz", {"liver": 5})
    with pytest.raises(ScanError, match=r"abdomenatlas-1.0 or abdomenatlas-1.1"):
        listed(tmp_path, Ask())
    assert listed(tmp_path, Ask(label_set="abdomenatlas-1.0")).found[0].label_set == "abdomenatlas-1.0"


def test_a_table_beside_combined_labels_tells_their_numbers(tmp_path: Path) -> None:
    """So do phantoms come."""
    write_scan(tmp_path / "phantom_1" / "ct.nii.gz")
    write_numbers(tmp_path / "phantom_1" / "combined_labels.nii.gz", {"liver": 7})
    table = tmp_path / "phantom_1" / "labels.json"
    table.write_text('{"7": "liver", "9": "spleen"}')
    assert listed(tmp_path, Ask()).found[0].label_set == str(table)
    assert listed(tmp_path, Ask(label_set="none")).found[0].labels is None
    table.write_text("{7")
    with pytest.raises(ModelError, match=r"labels\.json"):
        listed(tmp_path, Ask())


def test_totalsegmentators_splits_come_from_its_table(tmp_path: Path) -> None:
    write_scan(tmp_path / "s0011" / "ct.nii.gz")
    write_masks(tmp_path / "s0011" / "segmentations", liver=None)
    (tmp_path / "meta.csv").write_text("image_id;age;split\ns0011;50;val\n")
    found = listed(tmp_path, Ask()).found[0]
    assert (found.name, found.split) == ("s0011", "validation")


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    """Return a root with cases of several datasets; one name has blanks and dots."""
    write_scan(tmp_path / "01_Multi-Atlas_Labeling" / "img" / "img0002.nii.gz")
    write_numbers(tmp_path / "01_Multi-Atlas_Labeling" / "label" / "label0002.nii.gz", {"liver": 6})
    write_numbers(tmp_path / "01_Multi-Atlas_Labeling" / "label" / "label0061.nii.gz", {"liver": 6})
    write_scan(tmp_path / "01_Multi-Atlas_Labeling" / "img" / "img0061.nii.gz", 61)
    write_scan(tmp_path / "set" / "case1" / "ct.nii.gz", 1)
    write_scan(tmp_path / "set" / "case2" / "ct.nii.gz", 2)
    write_scan(tmp_path / "my set" / "a case v1.2.nii.gz", 3)
    return tmp_path


def test_the_published_list_with_its_traps(lists: Path) -> None:
    """Upstream defect 8: names cut at the first dot and at blanks, a dataset must begin with two digits."""
    listing_file = lists / "lists" / "all.txt"
    listing_file.parent.mkdir()
    btcv = "01_Multi-Atlas_Labeling"
    lines = [
        f"{btcv}/img/img0002.nii.gz\t{btcv}/label/label0002.nii.gz",
        f"{btcv}/img/img0061.nii.gz {btcv}/label/label0061.nii.gz",
        "set/case1/ct.nii.gz",
        "set/case2",
        "my set/a case v1.2.nii.gz",
        "",
        f"{btcv}/img/img0002.nii.gz\t{btcv}/label/label0061.nii.gz",
        "../outside.nii.gz",
        "set/missing.nii.gz",
    ]
    listing_file.write_text("\ufeff" + "\r\n".join(lines))
    listing = listed(listing_file, Ask())
    assert listing.layout == "datalist"
    assert [(one.name, one.dataset, one.label_set) for one in listing.found] == [
        ("img0002", btcv, "btcv"),
        ("img0061", btcv, "pancreas-ct"),
        ("case1", "set", None),
        ("case2", "set", None),
        ("a case v1.2", "my_set", None),
    ]
    reasons = [fault.reason for fault in listing.faults]
    assert "the label of another case" in reasons[0]
    assert "leads out of the folder" in reasons[1]
    assert "no such file" in reasons[2]


def test_a_list_that_leads_nowhere_asks_for_its_root(tmp_path: Path, lists: Path) -> None:
    far = tmp_path / "a" / "b" / "c" / "d" / "e"
    far.mkdir(parents=True)
    (far / "all.txt").write_text("set/case1/ct.nii.gz\n")
    with pytest.raises(ScanError, match="name the folder as --root"):
        listed(far / "all.txt", Ask())
    assert len(listed(far / "all.txt", Ask(root=lists)).found) == 1


def test_a_models_pseudo_label_is_no_original(tmp_path: Path) -> None:
    write_scan(tmp_path / "04_LiTS_liver_0" / "ct.nii.gz")
    write_numbers(tmp_path / "04_LiTS_liver_0" / "pseudo_label.nii.gz", {"liver": 6})
    (tmp_path / "all.txt").write_text("04_LiTS_liver_0/ct.nii.gz\t04_LiTS_liver_0/pseudo_label.nii.gz")
    listing = listed(tmp_path / "all.txt", Ask())
    assert listing.found[0].labels is None
    assert "pseudo_label" in listing.remarks[0]


def test_a_csv_says_everything_and_a_bad_row_is_a_fault_of_its_own(tmp_path: Path) -> None:
    write_scan(tmp_path / "x" / "1.nii.gz")
    write_numbers(tmp_path / "x" / "1_l.nii.gz", {"liver": 1})
    rows = [
        "image;label;case;dataset;label_set;split;patient;phase;colour",
        "x/1.nii.gz;x/1_l.nii.gz;First one;Clinic;lits;test;4711;portal;red",
        "x/2.nii.gz;;;;;;;;",
        "x/1.nii.gz;;;;;trian;;;",
        "../../etc/passwd;;;;;;;;",
    ]
    (tmp_path / "cases.csv").write_text("\n".join(rows))
    listing = listed(tmp_path / "cases.csv", Ask())
    (found,) = listing.found
    assert (found.name, found.case, found.dataset, found.split, found.phase, found.patient) == (
        "First one",
        "First_one",
        "Clinic",
        "test",
        "portal",
        "4711",
    )
    assert ["there is no such" in listing.faults[0].reason, "'trian'" in listing.faults[1].reason] == [True, True]
    assert "leads out" in listing.faults[2].reason
    assert listing.remarks == ("columns that mean nothing here: colour",)


def test_a_csv_without_images_and_a_broken_one_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("picture\nx\n")
    with pytest.raises(ScanError, match="no column 'image'"):
        listed(tmp_path / "a.csv", Ask())
    (tmp_path / "b.csv").write_bytes(b"image\n\xff\xfe\n")
    with pytest.raises(ScanError, match="UTF-8"):
        listed(tmp_path / "b.csv", Ask())


def test_what_is_not_there_and_a_layout_nobody_knows(tmp_path: Path) -> None:
    with pytest.raises(ScanError, match="no such file"):
        listed(tmp_path / "nothing", Ask())
    with pytest.raises(ScanError, match=", ".join(LAYOUTS)):
        listed(tmp_path, Ask(), "bids")


def test_a_broken_description_is_one_line(tmp_path: Path) -> None:
    folder = write_nnunet(tmp_path / "Dataset777_Mine")
    (folder / "dataset.json").write_text(json.dumps({"channel_names": {"0": "CT"}})[:-3])
    with pytest.raises(ScanError, match="no sound JSON"):
        listed(folder, Ask(), "nnunet")
