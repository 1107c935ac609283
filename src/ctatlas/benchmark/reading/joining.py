"""Many models onto the same cases and structures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from ctatlas.anatomy import structure_called
from ctatlas.benchmark.flags import Flag, note, warning
from ctatlas.benchmark.reading.measured import BOTH_ABSENT, GT_ABSENT, MISSED, Measured
from ctatlas.benchmark.scores import Metric, Results, Scores, known_metric
from ctatlas.measure.metrics import metrics


def joined(tables: Sequence[Measured]) -> tuple[Results, list[Flag]]:
    """Put the tables of all models on common axes.

    Returns
    -------
    Results, list of Flag
        Structures keep the names of the tables; where these differ in spelling they get the name that ctatlas uses.
    """
    names, flags = _names(tables)
    models = tuple(sorted({table.model for table in tables}))
    cases = tuple(sorted({case for table in tables for case in table.cases}))
    structures = tuple(dict.fromkeys(names[name] for table in tables for name in table.structures if name in names))
    axes = _Axes(models, cases, structures, names)
    several = _with_several_tolerances(tables)
    groups: dict[Metric, list[Measured]] = defaultdict(list)
    for table in tables:
        tolerance = table.tolerance_mm if table.metric in several else None
        groups[known_metric(table.metric, tolerance)].append(table)
    order = {name: place for place, name in enumerate(metrics())}
    found = sorted(groups, key=lambda metric: (order[metric.name], metric.tolerance_mm or 0))
    scores = tuple(_scores(metric, groups[metric], axes) for metric in found)
    kept = tuple(each for each in scores if np.isfinite(each.values).any())
    missed, spurious, absent = _presence(tables, axes)
    flags += [flag for metric in found for flag in _conventions(metric, groups[metric])]
    return Results(models, cases, structures, kept, missed, spurious, absent), flags


class _Axes:
    """Where a table's cases and structures lie on the common axes."""

    def __init__(
        self, models: tuple[str, ...], cases: tuple[str, ...], structures: tuple[str, ...], names: dict[str, str]
    ) -> None:
        self.models, self.cases, self.structures, self.names = models, cases, structures, names
        self._model = {name: place for place, name in enumerate(models)}
        self._case = {name: place for place, name in enumerate(cases)}
        self._structure = {name: place for place, name in enumerate(structures)}

    @property
    def shape(self) -> tuple[int, int, int]:
        return len(self.models), len(self.cases), len(self.structures)

    def places(self, table: Measured) -> tuple[int, np.ndarray, np.ndarray, np.ndarray]:
        """Return the model, the cases, the structures, and which columns of the table are taken."""
        taken = [column for column, name in enumerate(table.structures) if name in self.names]
        structures = [self._structure[self.names[table.structures[column]]] for column in taken]
        cases = [self._case[case] for case in table.cases]
        return self._model[table.model], np.array(cases, int), np.array(structures, int), np.array(taken, int)


def _names(tables: Sequence[Measured]) -> tuple[dict[str, str], list[Flag]]:
    """Map the name of a column to the structure's name; those that are no structure are missing, and flagged."""
    spellings: dict[str, set[str]] = defaultdict(set)
    users: dict[str, set[str]] = defaultdict(set)
    free_models = {table.model for table in tables if table.free_names}
    always: set[str] = set()
    for table in tables:
        for name in table.structures:
            spellings[structure_called(name) or name].add(name)
            users[name].add(table.model)
            if not table.free_names:
                always.add(name)
    flags: list[Flag] = []
    names: dict[str, str] = {}
    for known, spelt in spellings.items():
        if structure_called(known) is None and known not in always and users[known] != free_models:
            text = f"column {known!r} is no structure that is known, and not every model has it; it is left out"
            flags += [warning("unknown_column", text, model=model, structure=known) for model in sorted(users[known])]
            continue
        if structure_called(known) is None and known not in always:
            text = f"{known!r} is no structure that is known; every model has it, so it is taken as it stands"
            flags.append(note("unknown_column", text, structure=known))
        if len(spelt) > 1:
            text = f"models call one structure {' and '.join(sorted(spelt))}; it is called {known} here"
            flags.append(note("spelling", text, structure=known))
        names |= dict.fromkeys(spelt, known if len(spelt) > 1 else next(iter(spelt)))
    return names, flags


def _with_several_tolerances(tables: Iterable[Measured]) -> set[str]:
    """Return the metrics of which one structure has values at several tolerances."""
    seen: dict[tuple[str, str], set[float | None]] = defaultdict(set)
    for table in tables:
        for name in table.structures:
            seen[table.metric, name].add(table.tolerance_mm)
    return {metric for (metric, _), tolerances in seen.items() if len(tolerances - {None}) > 1}


def _scores(metric: Metric, tables: Sequence[Measured], axes: _Axes) -> Scores:
    values = np.full(axes.shape, np.nan)
    has_row = np.zeros(axes.shape[:2], np.bool_)
    has_structure = np.zeros((axes.shape[0], axes.shape[2]), np.bool_)
    absent_counts = any(np.isfinite(table.values[table.status == BOTH_ABSENT]).any() for table in tables)
    for table in tables:
        model, cases, structures, taken = axes.places(table)
        found, status = table.values[:, taken] * metric.from_fraction, table.status[:, taken]
        if metric.is_score:  # a missing prediction is a structure that was missed, not one that need not be counted
            found = np.where(np.isnan(found) & np.isin(status, MISSED), 0.0, found)
        if not absent_counts:  # a false positive has a table of its own; in a mean only its model would pay for it
            found = np.where(status == GT_ABSENT, np.nan, found)
        block = values[model][np.ix_(cases, structures)]
        values[model][np.ix_(cases, structures)] = np.where(np.isnan(found), block, found)
        has_row[model, cases] = True
        has_structure[model, structures] = True
    stated = tuple(sorted({table.tolerance_mm for table in tables if table.tolerance_mm is not None}))
    followed = tuple(sorted({word for table in tables for word in table.implementations}))
    return Scores(metric, axes.models, axes.cases, axes.structures, values, has_row, has_structure, stated, followed)


def _presence(tables: Sequence[Measured], axes: _Axes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    missed = np.zeros(axes.shape, np.bool_)
    spurious, absent = np.zeros(axes.shape, np.bool_), np.zeros(axes.shape, np.bool_)
    for table in tables:
        model, cases, structures, taken = axes.places(table)
        status = table.status[:, taken]
        place = np.ix_(np.array([model]), cases, structures)
        missed[place] |= np.isin(status, MISSED)[None]
        spurious[place] |= (status == GT_ABSENT)[None]
        absent[place] |= np.isin(status, (GT_ABSENT, BOTH_ABSENT))[None]
    return missed, spurious.sum(axis=1, dtype=np.int64), absent.sum(axis=1, dtype=np.int64)


def _conventions(metric: Metric, tables: Sequence[Measured]) -> list[Flag]:
    """Flag models that were measured in different ways: their values can't be compared."""
    flags: list[Flag] = []
    used = {word for table in tables for word in table.implementations}
    if len(used) > 1:
        text = f"measured by different conventions ({', '.join(sorted(used))}); their values can't be compared"
        flags.append(warning("conventions_differ", text, metric=metric.label))
    tolerances = {table.tolerance_mm for table in tables}
    if None in tolerances and len(tolerances) > 1:
        text = (
            "some models' tables say at which tolerance they were measured, others don't; their values may not compare"
        )
        flags.append(warning("tolerance_unknown", text, metric=metric.label))
    return flags
