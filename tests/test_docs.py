"""The manual names what exists, and its links lead somewhere."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from ctatlas.anatomy import label_set, label_set_names
from ctatlas.settings import Settings

ROOT = Path(__file__).parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
LINKS = [
    (page, target)
    for page in PAGES
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
]


@pytest.mark.parametrize(("page", "target"), LINKS, ids=lambda value: getattr(value, "name", value))
def test_a_link_leads_somewhere(page, target):
    assert (page.parent / target).exists()


@pytest.mark.parametrize("name", label_set_names())
def test_every_label_set_is_listed_with_its_size(name):
    page = (ROOT / "docs" / "structures.md").read_text(encoding="utf-8")
    assert re.search(rf"^\| `{name}` \| {len(label_set(name).labels)} \|", page, re.MULTILINE)


@pytest.mark.parametrize("name", [field.name for field in fields(Settings)])
def test_every_setting_is_explained(name):
    page = (ROOT / "docs" / "conventions.md").read_text(encoding="utf-8")
    assert re.search(rf"^\| `CTATLAS_{name.upper()}` \| `{name} = ", page, re.MULTILINE)
