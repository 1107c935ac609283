"""Dates of a patient, all moved by the same number of days, so that the time between two of them stays."""

from __future__ import annotations

import re
from datetime import date, timedelta

_DATE = re.compile(r"(\d{4})\.?(\d{2})\.?(\d{2})")  # with dots: ACR-NEMA, DICOM PS3.5 6.2 note
_DATETIME = re.compile(
    r"(?P<date>\d{8})(?P<time>([01]\d|2[0-3])([0-5]\d([0-5]\d|60)?(?<=\d{6})(\.\d{1,6})?)?)?([+-]\d{4})?"
)
_TIME = re.compile(r"([01]\d|2[0-3])(:?[0-5]\d(:?([0-5]\d|60)(\.\d{1,6})?)?)?")


def shifted_date(text: str, days: int) -> str | None:
    """Move a date (DICOM's DA).

    Returns
    -------
    str or None
        None for what is no day of the calendar, before or after moving; the caller takes it out.

    Examples
    --------
    >>> shifted_date("20200301", -1), shifted_date("2021.03.01", -1), shifted_date("20230230", -1)
    ('20200229', '20210228', None)
    """
    match = _DATE.fullmatch(text.strip(" \0"))
    if match is None:
        return None
    try:
        moved = date(*map(int, match.groups())) + timedelta(days)
    except (ValueError, OverflowError):
        return None
    return f"{moved.year:04}{moved.month:02}{moved.day:02}"


def shifted_datetime(text: str, days: int) -> str | None:
    """Move the date of a date and time (DICOM's DT); the offset from UTC, which says where the patient was, goes.

    Examples
    --------
    >>> shifted_datetime("20200301120000.5+0100", -1), shifted_datetime("2020", -1)
    ('20200229120000.5', None)
    """
    match = _DATETIME.fullmatch(text.strip(" \0"))
    moved = match and shifted_date(match["date"], days)
    return moved + (match["time"] or "") if match and moved else None


def is_time(text: str) -> bool:
    """Tell whether a text is a time of day (DICOM's TM) and nothing else.

    Examples
    --------
    >>> is_time("235959.123"), is_time("12:30"), is_time("Smith")
    (True, True, False)
    """
    return _TIME.fullmatch(text.strip(" \0")) is not None
