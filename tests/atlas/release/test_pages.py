"""What people and programs read of a release: card, datasheet, Croissant, Parquet."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from ctatlas.atlas import Atlas
from ctatlas.atlas.release import LAYOUTS, ReleaseChoices, make_release, plan_release
from ctatlas.atlas.release.datasheet import OPEN, questions
from tests.atlas.release.small_atlas import SPLEEN, assemble, revise, small_atlas

TOLD = {
    "name": "Belly | <b>",
    "description": 'Organs "of" the belly.',
    "release": {
        "creators": ["Ann"],
        "citation": "Ann 2026",
        "published": "2026-01-02",
        "answers": {"funding": "Nobody."},
    },
}


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    return small_atlas(tmp_path_factory.mktemp("small") / "atlas", **TOLD)


@pytest.fixture(scope="module")
def folder(atlas: Atlas) -> Path:
    return make_release(plan_release(atlas, "1.0", ReleaseChoices()))


def test_what_nobody_found_is_counted_apart_from_what_is_absent(tmp_path: Path) -> None:
    atlas = small_atlas(tmp_path / "atlas")
    revise(atlas.place.case("ccc"), "spleen", SPLEEN & False)
    assemble(atlas)
    folder = make_release(plan_release(atlas, "1.0", ReleaseChoices()))
    for page in ("README.md", "DATASHEET.md"):
        text = (folder / page).read_text()
        columns = ["original", "revised", "pseudo", "absent", "empty", "median mL"]
        assert f"| name | label | structure | {' | '.join(columns)} |" in text
        assert "| spleen | 8 | spleen | 0 | 1 | 1 | 1 | 1 |" in text  # a1: absent; bbbb: predicted; ccc: nothing found
        assert "| liver | 5 | liver | 1 | 0 | 2 | 0 | 0 |" in text
    images = make_release(plan_release(atlas, "1.0-images", ReleaseChoices(content="images")))
    assert "not told about" not in (images / "README.md").read_text()


@pytest.mark.filterwarnings("ignore")  # of what others deprecate
@pytest.mark.parametrize("layout", LAYOUTS)
def test_croissant_is_valid_and_its_records_are_the_rows(atlas: Atlas, layout: str) -> None:
    mlcroissant: Any = pytest.importorskip("mlcroissant")
    folder = make_release(plan_release(atlas, f"1.0.{list(LAYOUTS).index(layout)}", ReleaseChoices(layout=layout)))
    dataset = mlcroissant.Dataset(jsonld=str(folder / "croissant.json"))
    issues = dataset.metadata.ctx.issues
    assert (issues.errors, issues.warnings) == (set(), set())
    records = list(dataset.records("masks"))
    assert len(records) == len((folder / "manifest/masks.csv").read_text().splitlines()) - 1
    assert records[0]["masks/structure"] == b"liver" or records[0]["masks/structure"]
    assert {type(record["masks/n_voxels"]) for record in records} == {int}


def test_the_front_matter_of_the_card_is_what_repositories_read(folder: Path) -> None:
    yaml: Any = pytest.importorskip("yaml")
    _, front, page = (folder / "README.md").read_text().split("---\n", 2)
    content = yaml.safe_load(front)
    assert content["license"] == "cc-by-4.0"
    assert content["size_categories"] == ["n<1K"]
    assert content["task_categories"] == ["image-segmentation"]
    assert content["annotations_creators"] == ["found", "machine-generated"]
    for config in content["configs"]:
        assert (folder / config["data_files"]).is_file()
    assert "Not for clinical use" in page
    assert "| postcava |" not in page  # nobody tells about it
    assert "3 CT scans, 10 masks" in page


def test_a_licence_that_no_table_knows_is_told_as_other(tmp_path: Path) -> None:
    atlas = small_atlas(tmp_path / "atlas", licence="ask Ann")
    page = (make_release(plan_release(atlas, "1.0", ReleaseChoices())) / "README.md").read_text()
    assert 'license: "other"\nlicense_name: "ask Ann"\n' in page
    assert "The licence of dataset made is not known" in page


def test_the_datasheet_answers_what_is_known_and_marks_the_rest(folder: Path) -> None:
    text = (folder / "DATASHEET.md").read_text()
    sections = [line[3:] for line in text.splitlines() if line.startswith("## ")]
    assert sections == [
        "Motivation", "Composition", "Collection", "Preprocessing and labelling", "Uses", "Distribution", "Maintenance",
    ]  # fmt: skip
    for row in questions():
        assert row["question"] in text
    assert "Nobody." in text
    assert "1 original (10.0 %), 0 revised (0.0 %), 8 pseudo (80.0 %), 1 absent (10.0 %)" in text
    assert f"{OPEN} (`timeframe = " in text
    assert 'Organs "of" the belly.' in text
    assert "In 2 places a case has no mask" in text


def test_parquet_holds_the_same_as_csv(folder: Path) -> None:
    pytest.importorskip("pyarrow")
    parquet: Any = import_module("pyarrow.parquet")
    csv: Any = import_module("pyarrow.csv")
    for name in ("cases", "masks"):
        read = csv.ConvertOptions(strings_can_be_null=False)
        one = parquet.read_table(folder / f"manifest/{name}.parquet")
        other = csv.read_csv(folder / f"manifest/{name}.csv", convert_options=read)
        assert one.column_names == other.column_names
        assert [{k: str(v) for k, v in row.items() if v} for row in one.to_pylist()] == [
            {k: str(v) for k, v in row.items() if v} for row in other.to_pylist()
        ]


def test_release_json_says_numbers_and_names(folder: Path) -> None:
    content = json.loads((folder / "release.json").read_text())
    assert content["labels"] == {"kidney_left": 3, "kidney_right": 4, "liver": 5, "spleen": 8}
    assert content["sources"] == {"original": 1, "revised": 0, "pseudo": 8, "absent": 1}
    assert any("postcava" in line for line in content["left_out"])
