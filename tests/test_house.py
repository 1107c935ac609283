"""The house stands as docs and pyproject say: rooms, floors, words."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

import ctatlas

HOUSE = Path(ctatlas.__file__).parent
ROOT = Path(__file__).parents[1]
ROOMS = {
    "anatomy", "anatomy_rules", "atlas", "benchmark", "commands", "execution", "inference", "kernels", "measure",
    "models", "results", "review", "synthesis", "training", "volume",
}  # fmt: skip
MODULES = sorted(path for path in HOUSE.rglob("*.py") if "__pycache__" not in path.parts)


def name_of(path: Path) -> str:
    return str(path.relative_to(HOUSE))


def test_these_rooms_and_no_others_stand():
    assert {path.parent.name for path in HOUSE.glob("*/__init__.py")} == ROOMS


def test_the_floors_name_every_room():
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]
    named = set(re.findall(r"\w+", " ".join(contract["layers"])))
    assert named == ROOMS | {"pipeline", "finding", "atomic", "errors", "progress", "settings", "hashing", "locks"}
    assert contract["exhaustive"]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_every_module_says_what_is_in_it(path):
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", [path for path in MODULES if path.name == "__init__.py"], ids=name_of)
def test_a_rooms_front_door_holds_no_code(path):
    kinds = (ast.Expr, ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign)
    front = [path for path in [path] if path != HOUSE / "__init__.py"]
    statements = [statement for door in front for statement in ast.parse(door.read_text(encoding="utf-8")).body]
    assert [ast.unparse(statement) for statement in statements if not isinstance(statement, kinds)] == []


def test_no_module_is_called_after_nothing():
    nothing = {"utils", "helpers", "common", "misc", "manager", "processor", "handler"}
    assert {path.stem for path in MODULES} & nothing == set()


def test_no_room_below_the_commands_prints_or_leaves():
    below = [path for path in MODULES if path.relative_to(HOUSE).parts[0] not in ("commands", "__main__.py")]
    calls = [
        f"{name_of(path)}:{node.lineno}"
        for path in below
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("print", "sys.exit", "exit", "warnings.warn")
    ]
    assert calls == []
