"""Tolerances as tables: published ones, the same for all, and a person's own."""

from __future__ import annotations

import csv
from importlib.resources import files

import pytest

from ctatlas.anatomy import structures
from ctatlas.errors import ModelError
from ctatlas.measure.tolerances import (
    same_for_all,
    tolerance_set,
    tolerance_set_names,
    tolerances_from,
)

ROWS = list(csv.DictReader(files("ctatlas.measure").joinpath("data", "tolerances.csv").read_text().splitlines()))


def test_one_millimetre_is_the_default() -> None:
    assert tolerance_set_names()[0] == "default"
    assert tolerance_set("default").of("liver") == (1.0,)


def test_published_sets_say_what_was_published() -> None:
    assert tolerance_set("flare22").of("duodenum") == (7.0,)
    assert tolerance_set("flare24").of("adrenal_gland_left") == (2.0,)
    assert tolerance_set("kits23").of("kidney_tumor") == (1.1498198361434828,)
    assert tolerance_set("totalsegmentator").of("rib_left_4") == (3.0,)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['set']}-{row['structure']}")
def test_every_row_names_a_structure_and_its_source(row: dict[str, str]) -> None:
    assert row["structure"] == "*" or row["structure"] in structures()
    assert row["source"]
    assert int(row["version"]) >= 1
    assert 0 < float(row["tolerance_mm"]) <= 10


@pytest.mark.parametrize("name", tolerance_set_names())
def test_every_set_says_what_holds_for_the_rest(name: str) -> None:
    assert {row["version"] for row in ROWS if row["set"] == name} == {str(tolerance_set(name).version)}
    assert [row["structure"] for row in ROWS if row["set"] == name].count("*") == 1


def test_several_for_all_are_sorted_and_each_once() -> None:
    assert same_for_all([3, 1, 3.0]).of("liver") == (1.0, 3.0)


@pytest.mark.parametrize("given", [[], [-1.0], [float("nan")], [float("inf")]], ids=str)
def test_what_is_no_length_is_refused(given: list[float]) -> None:
    with pytest.raises(ModelError, match="expected 0 to 1000 mm"):
        same_for_all(given)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_table_of_ones_own(delimiter: str) -> None:
    lines = ["note,tolerance_mm,structure", "mine,2.5,Gall Bladder", ",4,my lump", ",3,*"]
    found = tolerances_from("\ufeff" + "\n".join(lines).replace(",", delimiter), "mine.csv")
    assert (found.of("gallbladder"), found.of("my lump"), found.of("liver")) == ((2.5,), (4.0,), (3.0,))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no column 'structure'"),
        ("structure,mm\nliver,2", "has no column 'tolerance_mm'"),
        ("structure,tolerance_mm,tolerance_mm\nliver,2,3", "has 2 columns 'tolerance_mm'"),
        ("structure,tolerance_mm\nliver,two", "row 1: the tolerance is 'two'"),
        ("structure,tolerance_mm\nliver,nan", "row 1: the tolerance is 'nan'"),
        ("structure,tolerance_mm\nliver,1\nLiver,2", "row 2: liver is given twice"),
        ("structure,tolerance_mm\nliver", "row 1: the tolerance is 'None'"),
        ('structure,tolerance_mm\n"liver,2', "is no table of tolerances"),
    ],
)
def test_a_table_that_cannot_be_understood_is_refused_in_a_line(text: str, said: str) -> None:
    with pytest.raises(ModelError, match=said) as refused:
        tolerances_from(text, "mine.csv")
    assert str(refused.value).startswith("mine.csv: ")


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(ModelError, match="'flare2'; flare2"):
        tolerance_set("flare2")
