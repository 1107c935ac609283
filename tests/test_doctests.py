"""Examples in docstrings are true."""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path

import pytest

import ctatlas

HOUSE = Path(ctatlas.__file__).parent
SHOWING = [path for path in sorted(HOUSE.rglob("*.py")) if ">>> " in path.read_text(encoding="utf-8")]


def module_of(path: Path) -> str:
    return ".".join(["ctatlas", *path.relative_to(HOUSE).with_suffix("").parts]).removesuffix(".__init__")


@pytest.mark.parametrize("name", [module_of(path) for path in SHOWING])
def test_examples_are_true(name):
    failed, tried = doctest.testmod(import_module(name))
    assert tried
    assert failed == 0
