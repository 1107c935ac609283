"""`assemble`, `revise export` and `revise import` as a person calls them."""

from pathlib import Path

import pytest

from ctatlas.atlas import Atlas
from ctatlas.atlas.records import QueryItem, QueryRecord, write_record
from ctatlas.volume import read_labels, read_segmentation, write, write_mask
from tests.atlas.by_hand import GRID, add_original, add_prediction, box, new_atlas, new_case
from tests.support_command import Terminal

LIVER, SPLEEN = box((0, 5)), box((7, 10))


@pytest.fixture
def atlas(tmp_path: Path) -> Atlas:
    atlas = new_atlas(tmp_path / "atlas", members=["m/one"])
    for case in ("one", "two"):
        place = new_case(atlas, case)
        add_original(place, {"liver": LIVER})
        add_prediction(place, "m/one", {"stomach": box((4, 7)), "spleen": SPLEEN})
    return atlas


def test_assemble_says_where_the_masks_come_from_and_does_nothing_twice(ctatlas: Terminal, atlas: Atlas) -> None:
    planned = ctatlas("assemble", atlas.place.root, "--dry-run")
    assert planned.code == 0
    assert not atlas.place.case("one").assembled.exists()
    done = ctatlas("assemble", atlas.place.root, "--quiet", "--json")
    assert done.code == 0
    assert [(case["state"], case["from"], case["conflicts"]) for case in done.json["cases"]] == [
        ("done", {"original": 1, "pseudo": 2}, 1)
    ] * 2
    again = ctatlas("assemble", atlas.place.root, "--case", "two")
    assert again.code == 0
    assert "there already" in again.out
    assert "1 original, 2 pseudo" in again.out
    status = ctatlas("status", atlas.place.root, "--json").json
    assert status["steps"]["assemble"] == 2
    assert status["labels"]["liver"]["assembled"] == 2


def test_a_case_goes_out_and_comes_back_and_is_assembled_anew(ctatlas: Terminal, atlas: Atlas, tmp_path: Path) -> None:
    root, to = atlas.place.root, tmp_path / "for ann"
    out = ctatlas("revise", "export", root, "one", "two", "--to", to)
    assert (out.code, "for ann/two" in out.out.replace("\n", "")) == (0, True)
    grown = box((6, 10))
    write(read_segmentation(to / "one" / "masks.seg.nrrd").replace({"spleen": grown}), to / "one" / "masks.seg.nrrd")
    words = ("revise", "import", root, to / "one", "--author", "ann", "--minutes", "7.5", "--tool", "3D Slicer")
    planned = ctatlas(*words, "--dry-run")
    assert planned.code == 0
    assert "Nothing was stored" in planned.out
    assert atlas.place.case("one").revisions() == []
    done = ctatlas(*words, "--json")
    (case,) = done.json["cases"]
    assert (case["revision"], case["changed"], case["reviewed"]) == (1, ["spleen"], ["liver", "spleen", "stomach"])
    assert case["added_ml"] == pytest.approx(99 * GRID.voxel_ml)
    status = ctatlas("status", root, "--json").json
    assert status["revisions"] == {"cases": 1, "n": 1, "minutes": 7.5}
    assert ctatlas("assemble", root, "--quiet").code == 0
    labels = read_labels(atlas.place.case("one").assembled / "combined_labels.nii.gz").labels
    assert ((labels == 8) == grown).all()


def test_of_several_packages_a_bad_one_does_not_stop_the_rest(ctatlas: Terminal, atlas: Atlas, tmp_path: Path) -> None:
    root, to = atlas.place.root, tmp_path / "out"
    assert ctatlas("revise", "export", root, "one", "two", "--to", to, "--structures", "spleen").code == 0
    (to / "one" / "segmentations" / "spleen.nii.gz").write_bytes(b"nothing")
    write_mask(box((6, 10)), GRID, to / "two" / "segmentations" / "spleen.nii.gz")
    done = ctatlas("revise", "import", root, to, "--author", "ann")
    assert done.code == 3
    assert "one: compare: spleen.nii.gz: is no label map" in done.err
    assert (root / "failures.csv").read_text().count("\n") == 2
    assert len(atlas.place.case("two").revisions()) == 1
    assert atlas.place.case("one").revisions() == []


def test_a_question_becomes_packages_of_what_it_asks(ctatlas: Terminal, atlas: Atlas, tmp_path: Path) -> None:
    items = [
        QueryItem(rank=rank, case=case, structure=structure, score=1, minutes=1)
        for rank, (case, structure) in enumerate([("two", "spleen"), ("one", None), ("two", "liver")], start=1)
    ]
    atlas.place.queries.mkdir()
    record = QueryRecord(number=1, strategy="random", seed=0, items=tuple(items))
    write_record(record, atlas.place.queries / "0001.json")
    assert ctatlas("revise", "export", atlas.place.root, "--query", 1, "--to", tmp_path / "out").code == 0
    assert read_segmentation(tmp_path / "out" / "two" / "masks.seg.nrrd").names == ("liver", "spleen")
    assert read_segmentation(tmp_path / "out" / "one" / "masks.seg.nrrd").names == ("liver", "spleen", "stomach")
    for words, complaint in (
        (("--query", 2), "has no query 2"),
        (("one", "--query", 1), "or a --query"),
        ((), "name cases"),
    ):
        done = ctatlas("revise", "export", atlas.place.root, *words, "--to", tmp_path / "other")
        assert (done.code, len(done.err.splitlines())) == (2, 1)
        assert complaint in done.err


def test_refusals_are_one_line(ctatlas: Terminal, atlas: Atlas, tmp_path: Path) -> None:
    root = atlas.place.root
    write_mask(LIVER, GRID, tmp_path / "liver.nii.gz")
    for words, complaint in (
        (("assemble", tmp_path / "nowhere"), "is no atlas"),
        (("assemble", root, "--case", "three"), "has no case 'three'"),
        (("revise", "export", root, "three", "--to", tmp_path / "out"), "has no case 'three'"),
        (("revise", "export", root, "one", "--to", tmp_path / "out", "-s", "livre"), "no structure is called 'livre'"),
        (("revise", "import", root, tmp_path / "liver.nii.gz", "--author", "ann"), "add --case"),
        (("revise", "import", root, tmp_path / "none", "--author", "ann", "-c", "one"), "none"),
        (("revise", "import", root, tmp_path / "liver.nii.gz", "-c", "one"), "--author"),
    ):
        done = ctatlas(*words)
        assert (done.code, len(done.err.splitlines()), done.out) == (2, 1, "")
        assert complaint in done.err
    assert not (tmp_path / "out").exists()
