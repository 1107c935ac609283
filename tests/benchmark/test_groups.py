from __future__ import annotations

import pytest

from ctatlas.benchmark.groups import AT_MOST_GROUPS, grouped, groupings
from ctatlas.benchmark.reading import Metadata
from ctatlas.errors import TableError


def metadata(**columns: list[str]) -> Metadata:
    n = len(next(iter(columns.values())))
    return Metadata({name: tuple(cells) for name, cells in columns.items()}, tuple(range(n)), n)


def test_ages_go_into_closed_decades() -> None:
    found = grouped("Age", ["50.00", "063Y", "18", "29.9", "6M", "17", "95", "?", ""])
    assert found.names == ("<18", "18–29", "50–59", "60–69", "90+")
    assert [found.names[g] if g >= 0 else None for g in found.of_case] == [
        "50–59", "60–69", "18–29", "18–29", "<18", "<18", "90+", None, None,
    ]  # fmt: skip


def test_few_numbers_are_groups_in_their_order() -> None:
    found = grouped("kvp", ["120", "80", "100", "120.0"])
    assert found.names == ("80", "100", "120")
    assert found.of_case.tolist() == [2, 0, 1, 2]


def test_many_numbers_come_in_bands_of_equal_size() -> None:
    found = grouped("thickness", [f"{0.1 * number:.1f}" for number in range(40)])
    assert len(found.names) == 4
    assert [int((found.of_case == g).sum()) for g in range(4)] == [10, 10, 10, 10]


def test_a_word_is_a_group_whatever_its_case_and_none_is_an_answer() -> None:
    found = grouped("pathology", ["Tumor", "none", "tumor", "", "NaN"])
    assert found.names == ("none", "Tumor")
    assert found.of_case.tolist() == [1, 0, 1, -1, -1]


def test_columns_of_one_or_too_many_values_make_no_groups() -> None:
    many = [f"remark {number}" for number in range(AT_MOST_GROUPS + 1)]
    found, flags = groupings(metadata(remark=many, constant=["x"] * len(many), site=["A", "B"] * 15 + ["A"]))
    assert [each.column for each in found] == ["site"]
    assert [flag.kind for flag in flags] == ["no_subgroups", "no_subgroups"]


def test_a_column_that_is_asked_for_must_be_there() -> None:
    with pytest.raises(TableError, match="no column 'scanner' in the metadata; there are site"):
        groupings(metadata(site=["A", "B"]), ["scanner"])


def test_a_column_is_found_whatever_its_case() -> None:
    assert groupings(metadata(Site=["A", "B"]), ["site"])[0][0].column == "Site"
