"""The manual names what exists, and its links lead somewhere."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import Any

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


def anchors(page: Path) -> set[str]:
    """Return what a # may lead to: headings, as the site spells them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[\s]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings}


def test_a_link_into_a_page_meets_a_heading() -> None:
    links = [
        (page, target, anchor)
        for page in PAGES
        for target, anchor in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", page.read_text(encoding="utf-8"))
    ]
    assert [link for link in links if link[2] not in anchors(link[0].parent / link[1] if link[1] else link[0])] == []


def pages_of(nav: list[dict[str, Any]]) -> list[str]:
    """Return the pages of a table of contents, in order."""
    entries = [entry for each in nav for entry in each.values()]
    return [page for entry in entries for page in ([entry] if isinstance(entry, str) else pages_of(entry))]


def test_every_page_has_its_place_in_the_manual() -> None:
    nav = pages_of(tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]["nav"])
    assert sorted(nav) == sorted(str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md"))


def test_the_first_page_leads_to_every_other() -> None:
    first = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    assert {page.name for page in (ROOT / "docs").glob("*.md") if f"({page.name})" not in first} == {"index.md"}


@pytest.mark.parametrize("picture", sorted((ROOT / "docs").rglob("*.png")), ids=lambda path: path.name)
def test_a_picture_is_light_and_shown(picture: Path) -> None:
    assert picture.stat().st_size < 150_000
    assert any(picture.name in page.read_text(encoding="utf-8") for page in PAGES)


@pytest.mark.parametrize("name", re.findall(r"^::: (\S+)$", (ROOT / "docs" / "api.md").read_text(), re.MULTILINE))
def test_what_the_reference_describes_exists_and_is_described(name: str) -> None:
    room, _, word = name.rpartition(".")
    described = import_module(name) if name == "ctatlas.errors" else getattr(import_module(room), word)
    assert described.__doc__
