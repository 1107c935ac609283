"""Questions that a catalog answers without a look at the files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select

from ctatlas.atlas.catalog.tables import Attention, Case, Finding, Label, Revision, Run

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


def case_count(session: Session) -> dict[str, int]:
    """Count the cases of each source dataset."""
    return dict(session.execute(select(Case.dataset, func.count()).group_by(Case.dataset).order_by(Case.dataset)).all())


def label_counts(session: Session) -> dict[str, dict[str, int]]:
    """Count, per structure, the cases with an original, pseudo, revised and assembled mask."""
    counted = select(Label.structure, Label.kind, func.count()).where(Label.is_first)
    counted = counted.group_by(Label.structure, Label.kind)
    counts: dict[str, dict[str, int]] = {}
    for structure, kind, n in session.execute(counted):
        counts.setdefault(structure, {})[kind] = n
    return counts


def step_counts(session: Session) -> dict[str, int]:
    """Count the cases for which each step is whole."""
    counted = select(Run.step, func.count(Run.case.distinct())).group_by(Run.step)
    return dict(session.execute(counted).all())


def revision_totals(session: Session) -> tuple[int, int, float]:
    """Return the number of revised cases, of revisions, and the minutes they took as far as known."""
    totals = select(func.count(Revision.case.distinct()), func.count(), func.sum(Revision.minutes))
    cases, revisions, minutes = session.execute(totals).one()
    return int(cases), int(revisions), float(minutes or 0)


def finding_counts(session: Session) -> dict[str, dict[str, int]]:
    """Count findings by rule and severity."""
    counts: dict[str, dict[str, int]] = {}
    for rule, severity, n in session.execute(
        select(Finding.rule, Finding.severity, func.count()).group_by(Finding.rule, Finding.severity)
    ):
        counts.setdefault(rule, {})[severity] = n
    return counts


def cases_by_attention(session: Session, limit: int | None = None) -> list[tuple[str, float, float]]:
    """Rank cases by the sum of their structures' scores: (case, score, expected minutes), the highest first."""
    score = func.sum(Attention.score)
    ranked = select(Attention.case, score, func.sum(Attention.minutes)).group_by(Attention.case)
    ranked = ranked.order_by(score.desc(), Attention.case).limit(limit)
    return [(case, float(total), float(minutes)) for case, total, minutes in session.execute(ranked)]


def structures_by_attention(session: Session) -> list[tuple[str, float, float, int]]:
    """Rank structures: (structure, summed score, summed mL, cases), the highest first."""
    score = func.sum(Attention.score)
    ranked = select(Attention.structure, score, func.sum(Attention.ml), func.count()).group_by(Attention.structure)
    ranked = ranked.order_by(score.desc(), Attention.structure)
    return [(name, float(total), float(ml), int(n)) for name, total, ml, n in session.execute(ranked)]
