"""Label descriptions as ITK-SNAP 3 and 4 write and read them."""

from __future__ import annotations

import re

from ctatlas.anatomy import structures
from ctatlas.atlas.revise.itk_snap import label_descriptions

# What its files look like in public repositories, and how their readers take them apart.
LINE = re.compile(r'^\s*(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s+([0-9.]+)\s+([01])\s+([01])\s+"(.*)"\s*$')


def test_every_label_is_a_line_of_eight_fields_after_fourteen_of_comment() -> None:
    lines = label_descriptions({25: "aorta", 3: "kidney_left"}).splitlines()
    assert all(line.startswith("#") for line in lines[:14])
    assert lines[1] == "# ITK-SnAP Label Description File"
    assert lines[14] == '    0     0    0    0        0  0  0    "Clear Label"'
    found = [LINE.match(line) for line in lines[15:]]
    assert [match and (match[1], match[8]) for match in found] == [("3", "kidney_left"), ("25", "aorta")]
    assert found[1] is not None
    assert tuple(int(found[1][n]) for n in (2, 3, 4)) == structures()["aorta"].color
    assert [found[1][n] for n in (5, 6, 7)] == ["1", "1", "1"]
