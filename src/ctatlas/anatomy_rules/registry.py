"""Rules: rows of a table, checked against the functions that carry them out."""

from __future__ import annotations

import inspect
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.resources import files
from typing import TYPE_CHECKING, Any, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from ctatlas.anatomy_rules.findings import Outcome
from ctatlas.errors import ModelError

if TYPE_CHECKING:
    from ctatlas.models import ModelCard

RuleFunction = Callable[..., Outcome]
"""`(name, anatomy, *, parameters of the table) -> Outcome`: looks at one structure and says what changes."""

RULES: dict[str, RuleFunction] = {}
TABLE = "table"  # the kind that stands for all rules of a table in `data/`


@dataclass(frozen=True, slots=True)
class Rule:
    """A row of a table of rules.

    Attributes
    ----------
    kind : str
        Key of `RULES`.
    structures : tuple of str
        The structures it is for; those that a segmentation has not are passed over.
    parameters : mapping
        Checked keyword arguments of the function.
    source : str
        Where the rule and its numbers come from.
    """

    kind: str
    structures: tuple[str, ...]
    parameters: Mapping[str, object]
    source: str


def rule(kind: str) -> Callable[[RuleFunction], RuleFunction]:
    """Register a function as a kind of rule."""

    def register(function: RuleFunction) -> RuleFunction:
        RULES[kind] = function
        return function

    return register


def rules_from(rows: Iterable[Mapping[str, object]], where: str = "rules") -> tuple[Rule, ...]:
    """Check rows of a table, such as the `[[rules]]` of a card; the row `kind = "table"` brings in a table of ours.

    Parameters
    ----------
    rows : iterable of mappings
        Each with `kind`, `structure` or `structures`, `source`, and the parameters of that kind.
    where : str
        What to call the table in an error.

    Raises
    ------
    ModelError
        When a kind or a parameter is unknown, missing or of the wrong type; every fault is named.
    """
    found: list[Rule] = []
    faults: list[str] = []
    for number, row in enumerate(rows, start=1):
        try:
            found += rule_table(str(row.get("name"))) if row.get("kind") == TABLE else [_rule(dict(row))]
        except ValueError as fault:
            faults.append(f"rule {number} ({row.get('kind', 'without kind')}): {fault}")
    if faults:
        raise ModelError(f"{where}: {'; '.join(faults)}")
    return tuple(found)


def rules_of(card: ModelCard) -> tuple[Rule, ...]:
    """Return a card's rules; classes that hold both sides are split before anything else is asked of them."""
    splits = [
        Rule("split_sides", (each.name,), {"left": each.split.left, "right": each.split.right}, f"card of {card.name}")
        for each in card.classes
        if each.split
    ]
    return (*splits, *rules_from((row.model_dump() for row in card.rules), card.name))


@cache
def rule_table(name: str) -> tuple[Rule, ...]:
    """Read one of the tables in `data/`, such as `torso`."""
    table = files("ctatlas.anatomy_rules") / "data" / f"{name}.toml"
    if not name.isidentifier() or not table.is_file():
        raise ModelError(f"no table of rules is called {name!r}; there are {', '.join(_table_names())}")
    return rules_from(tomllib.loads(table.read_text(encoding="utf-8"))["rules"], f"{name}.toml")


def _table_names() -> list[str]:
    entries = (files("ctatlas.anatomy_rules") / "data").iterdir()
    return sorted(entry.name.removesuffix(".toml") for entry in entries if entry.name.endswith(".toml"))


def _rule(row: dict[str, object]) -> Rule:
    """Check one row."""
    kind, source = row.pop("kind", None), row.pop("source", None)
    names = row.pop("structures", None) or [row.pop("structure", None)]
    if kind not in RULES:
        raise ValueError(f"unknown kind; known: {', '.join(sorted(RULES))}")
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) and name for name in names):
        raise ValueError("expected structures = [names]")
    if not isinstance(source, str) or not source:
        raise ValueError("expected a source")
    try:
        checked = _parameters(str(kind)).model_validate(row)
    except ValidationError as error:
        faults = (f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise ValueError("; ".join(faults)) from None
    return Rule(str(kind), tuple(names), {key: getattr(checked, key) for key in checked.model_fields_set}, source)


@cache
def _parameters(kind: str) -> type[BaseModel]:
    """Make the check of a kind's parameters from the signature of its function."""
    function = RULES[kind]
    hints = get_type_hints(function, vars(import_module(function.__module__)))
    fields: dict[str, Any] = {
        name: (hints[name], ... if parameter.default is inspect.Parameter.empty else parameter.default)
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    return create_model(kind, __config__=ConfigDict(extra="forbid"), **fields)
