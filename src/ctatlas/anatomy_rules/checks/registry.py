"""Checks: rows of tables, held against the functions that carry them out."""

from __future__ import annotations

import inspect
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.resources import files
from typing import Any, cast, get_args, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from ctatlas.anatomy import structures
from ctatlas.anatomy_rules.checks.findings import Severity, Sign
from ctatlas.errors import ModelError

CheckFunction = Callable[..., Iterator[Sign]]
"""`(name, subject, *, limits of the table) -> signs`: looks at one structure and changes nothing."""

CHECKS: dict[str, CheckFunction] = {}
EVERY = "*"  # stands for every structure of a segmentation


@dataclass(frozen=True, slots=True)
class Check:
    """A row of a table: which function looks at which structures with which limits.

    Attributes
    ----------
    rule : str
        What its findings are called; several rows may bear one name.
    kind : str
        Key of `CHECKS`.
    severity : {"error", "warning", "note"}
    limits : mapping of str to mapping
        Structure (or `EVERY`) -> checked keyword arguments of the function.
    source : str
        Where the rule and its numbers come from.
    """

    rule: str
    kind: str
    severity: Severity
    limits: Mapping[str, Mapping[str, object]]
    source: str


def check(kind: str) -> Callable[[CheckFunction], CheckFunction]:
    """Register a function as a kind of check."""

    def register(function: CheckFunction) -> CheckFunction:
        CHECKS[kind] = function
        return function

    return register


@cache
def check_table() -> tuple[Check, ...]:
    """Read all tables of `data/`, in the order of their names.

    Raises
    ------
    ModelError
        When a row is not what it should be; every fault is named.
    """
    folder = files("ctatlas.anatomy_rules.checks") / "data"
    tables = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".toml")), key=lambda e: e.name)
    found: list[Check] = []
    for table in tables:
        found += checks_from(tomllib.loads(table.read_text(encoding="utf-8"))["checks"], table.name)
    return tuple(found)


def checks_from(rows: Iterable[Mapping[str, object]], where: str = "checks") -> tuple[Check, ...]:
    """Check the rows of a table.

    Parameters
    ----------
    rows : iterable of mappings
        Each with `rule`, `severity`, `source`, `structures` (a list, or `["*"]`), perhaps `kind` (by default the rule's
        name), the limits of that kind, and `each`: structure -> limits of its own.
    where : str
        What to call the table in an error.

    Raises
    ------
    ModelError
        When a kind, a structure or a limit is unknown, missing or of the wrong type; every fault is named.
    """
    found: list[Check] = []
    faults: list[str] = []
    for number, row in enumerate(rows, start=1):
        try:
            found.append(_check(dict(row)))
        except ValueError as fault:
            faults.append(f"row {number} ({row.get('rule', 'without rule')}): {fault}")
    if faults:
        raise ModelError(f"{where}: {'; '.join(faults)}")
    return tuple(found)


def _check(row: dict[str, object]) -> Check:
    """Check one row."""
    rule, severity, source = (row.pop(word, None) for word in ("rule", "severity", "source"))
    kind, each = row.pop("kind", rule), row.pop("each", {})
    if not (isinstance(rule, str) and rule and isinstance(source, str) and source):
        raise ValueError("expected a rule and a source")
    if severity not in get_args(Severity):
        raise ValueError(f"expected a severity of {', '.join(get_args(Severity))}")
    if kind not in CHECKS:
        raise ValueError(f"unknown kind {kind!r}; known: {', '.join(sorted(CHECKS))}")
    if not isinstance(each, dict):
        raise ValueError("expected each = {structure = {limit = …}}")
    names = list(dict.fromkeys([*_names(row.pop("structures", [])), *each]))
    if unknown := [name for name in names if name != EVERY and name not in structures()]:
        raise ValueError(f"no structure is called {', '.join(map(repr, unknown))}")
    limits = {name: _limits(str(kind), row | each.get(name, {})) for name in names}
    return Check(rule, str(kind), cast("Severity", severity), limits, source)


def _names(given: object) -> list[str]:
    if not isinstance(given, list) or not all(isinstance(name, str) for name in given):
        raise ValueError("expected structures = [names]")
    return given


def _limits(kind: str, given: Mapping[str, object]) -> Mapping[str, object]:
    try:
        checked = _model(kind).model_validate(given)
    except ValidationError as error:
        faults = (f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise ValueError("; ".join(faults)) from None
    return {name: getattr(checked, name) for name in checked.model_fields_set}


@cache
def _model(kind: str) -> type[BaseModel]:
    """Make the check of a kind's limits from the signature of its function."""
    function = CHECKS[kind]
    hints = get_type_hints(function, vars(import_module(function.__module__)))
    fields: dict[str, Any] = {
        name: (hints[name], ... if parameter.default is inspect.Parameter.empty else parameter.default)
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    return create_model(kind, __config__=ConfigDict(extra="forbid"), **fields)
