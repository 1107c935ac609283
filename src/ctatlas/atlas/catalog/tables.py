"""The tables of the catalog.

A change here needs a migration in `migrations/versions`, and its number in `VERSION`; a test compares the two.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, Boolean, Float, ForeignKey, Index, Integer, MetaData, String, Text, true
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

VERSION = "0002"

_NAMES = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
_NAME = String()
_SHA256 = String(64)


class Table(DeclarativeBase):
    """Base of all tables."""

    metadata = MetaData(naming_convention=_NAMES)
    type_annotation_map = {dict[str, Any]: JSON}  # noqa: RUF012 - SQLAlchemy's way


def _case_key() -> Mapped[str]:
    return mapped_column(_NAME, ForeignKey("cases.case", ondelete="CASCADE"), primary_key=True)


class Case(Table):
    """One scan; `stamp` tells whether the case's files changed since they were indexed."""

    __tablename__ = "cases"

    case: Mapped[str] = mapped_column(_NAME, primary_key=True)
    dataset: Mapped[str] = mapped_column(_NAME, index=True)
    dataset_case: Mapped[str] = mapped_column(_NAME)
    label_set: Mapped[str | None] = mapped_column(_NAME)
    patient: Mapped[str] = mapped_column(_NAME, index=True)
    split: Mapped[str | None] = mapped_column(_NAME)
    phase: Mapped[str | None] = mapped_column(_NAME)
    n_i: Mapped[int] = mapped_column(Integer)
    n_j: Mapped[int] = mapped_column(Integer)
    n_k: Mapped[int] = mapped_column(Integer)
    affine: Mapped[str] = mapped_column(Text)
    scanner: Mapped[dict[str, Any]]
    origin: Mapped[str] = mapped_column(_SHA256, index=True)
    origin_stamp: Mapped[str] = mapped_column(_SHA256)
    ct_sha256: Mapped[str] = mapped_column(_SHA256)
    voxels_sha256: Mapped[str] = mapped_column(_SHA256, index=True)
    fingerprint: Mapped[str] = mapped_column(Text)
    duplicate_of: Mapped[str | None] = mapped_column(_NAME)
    stamp: Mapped[str] = mapped_column(_SHA256)


class Label(Table):
    """One mask: where it comes from and what it holds.

    `kind` is original, pseudo, revised or assembled; `origin` the member, the revision's number or the winner's kind.
    `is_first` marks one of the masks that a case has of a structure and kind, so that cases are counted by one scan.
    """

    __tablename__ = "labels"
    __table_args__ = (Index("ix_labels_structure_kind", "structure", "kind", "is_first"),)

    case: Mapped[str] = _case_key()
    kind: Mapped[str] = mapped_column(_NAME, primary_key=True)
    origin: Mapped[str] = mapped_column(_NAME, primary_key=True)
    structure: Mapped[str] = mapped_column(_NAME, primary_key=True)
    volume_ml: Mapped[float] = mapped_column(Float)
    n_voxels: Mapped[int] = mapped_column(Integer)
    sha256: Mapped[str] = mapped_column(_SHA256)
    is_first: Mapped[bool] = mapped_column(Boolean, server_default=true())


class Run(Table):
    """One step that is whole for a case, and the key that says of what it is the result."""

    __tablename__ = "runs"

    case: Mapped[str] = _case_key()
    step: Mapped[str] = mapped_column(_NAME, primary_key=True)
    member: Mapped[str] = mapped_column(_NAME, primary_key=True)
    step_version: Mapped[int] = mapped_column(Integer)
    key: Mapped[str] = mapped_column(_SHA256)
    ctatlas: Mapped[str] = mapped_column(_NAME)


class Revision(Table):
    """What a person corrected in one go."""

    __tablename__ = "revisions"

    case: Mapped[str] = _case_key()
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    author: Mapped[str] = mapped_column(_NAME)
    minutes: Mapped[float | None] = mapped_column(Float)
    tool: Mapped[str] = mapped_column(_NAME)
    reason: Mapped[str] = mapped_column(Text)
    created: Mapped[str] = mapped_column(_NAME)
    n_structures: Mapped[int] = mapped_column(Integer)


class Attention(Table):
    """How much of a structure needs eyes."""

    __tablename__ = "attention"

    case: Mapped[str] = _case_key()
    structure: Mapped[str] = mapped_column(_NAME, primary_key=True)
    ml: Mapped[float] = mapped_column(Float)
    score: Mapped[float] = mapped_column(Float, index=True)
    n_hotspots: Mapped[int] = mapped_column(Integer)
    minutes: Mapped[float] = mapped_column(Float)


class Finding(Table):
    """What an anatomical rule found."""

    __tablename__ = "findings"
    __table_args__ = (Index("ix_findings_rule_severity", "rule", "severity"),)

    case: Mapped[str] = _case_key()
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    structure: Mapped[str] = mapped_column(_NAME)
    rule: Mapped[str] = mapped_column(_NAME)
    severity: Mapped[str] = mapped_column(_NAME)
    message: Mapped[str] = mapped_column(Text)
    value: Mapped[float | None] = mapped_column(Float)
    limit: Mapped[float | None] = mapped_column(Float)
    unit: Mapped[str] = mapped_column(_NAME)
    fix: Mapped[str] = mapped_column(_NAME)


TABLES: tuple[type[Table], ...] = (Case, Label, Run, Revision, Attention, Finding)  # a case's own row comes first
