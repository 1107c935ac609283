"""Dates of a patient keep their distances, whatever the calendar does between them."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctatlas.volume.deidentify.dates import is_time, shifted_date, shifted_datetime

DAYS = st.integers(-3652, -1)
DATES = st.dates(date(12, 1, 1), date(9999, 12, 31))


def day(text: str | None) -> date:
    assert text is not None
    return date(int(text[:4]), int(text[4:6]), int(text[6:]))


def dicom(one: date) -> str:
    return f"{one.year:04}{one.month:02}{one.day:02}"


@given(DATES, DATES, DAYS)
def test_the_days_between_two_dates_stay(one: date, other: date, days: int) -> None:
    moved = [day(shifted_date(dicom(each), days)) for each in (one, other)]
    assert moved[1] - moved[0] == other - one
    assert moved[0] < one


@given(DATES, DAYS, st.sampled_from(["", "07", "0715", "071559", "071559.5", "235960.123456"]))
def test_a_date_and_time_moves_as_its_date(one: date, days: int, time: str) -> None:
    assert shifted_datetime(dicom(one) + time, days) == f"{shifted_date(dicom(one), days)}{time}"


@pytest.mark.parametrize(
    ("text", "days", "moved"),
    [
        ("20200229", -366, "20190228"),
        ("20200301", -1, "20200229"),
        ("21000301", -1, "21000228"),
        ("20000101", -1, "19991231"),
        ("20200229 ", -1, "20200228"),
        ("2020.02.29", -1, "20200228"),
        ("00010102", -1, "00010101"),
        ("00010101", -1, None),  # before the first year there is
        ("00001231", -1, None),
        ("20230229", -1, None),
        ("20201301", -1, None),
        ("2020022", -1, None),
        ("20200229-20200301", -1, None),
        ("Mueller ", -1, None),
        ("", -1, None),
        ("\uff12\uff10\uff12\uff10\uff10\uff12\uff12\uff19", -1, "20200228"),
    ],
)
def test_the_ends_of_the_calendar(text: str, days: int, moved: str | None) -> None:
    assert shifted_date(text, days) == moved


@pytest.mark.parametrize(
    ("text", "moved"),
    [
        ("20200301120000+0100", "20200229120000"),  # the offset says where the patient was
        ("202003011200", "202002291200"),
        ("20200301", "20200229"),
        ("202003", None),
        ("2020", None),
        ("20200301250000", None),
        ("20200301120000.1234567", None),
        ("20200301Hans", None),
    ],
)
def test_dates_with_times(text: str, moved: str | None) -> None:
    assert shifted_datetime(text, -1) == moved


@given(st.text(max_size=30))
def test_whatever_comes_out_is_a_date(text: str) -> None:
    for moved in (shifted_date(text, -17), (shifted_datetime(text, -17) or "20200101")[:8]):
        assert moved is None or (moved.isascii() and day(moved))


@pytest.mark.parametrize(
    ("text", "is_one"), [("07", True), ("0715", True), ("24", False), ("0760", False), ("", False)]
)
def test_times_of_day(text: str, is_one: bool) -> None:  # noqa: FBT001
    assert is_time(text) is is_one
