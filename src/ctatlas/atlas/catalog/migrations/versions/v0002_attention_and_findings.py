"""Where to look, and what the anatomical rules found."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = depends_on = None

_NAME = sa.String()


def _of_case() -> sa.Column[str]:
    return sa.Column("case", _NAME, sa.ForeignKey("cases.case", ondelete="CASCADE"), primary_key=True)


def upgrade() -> None:
    """Make the tables, and have all files read again: older versions passed over what now has a row."""
    op.create_table(
        "attention",
        _of_case(),
        sa.Column("structure", _NAME, primary_key=True),
        sa.Column("ml", sa.Float, nullable=False),
        sa.Column("score", sa.Float, nullable=False, index=True),
        sa.Column("n_hotspots", sa.Integer, nullable=False),
        sa.Column("minutes", sa.Float, nullable=False),
    )
    op.create_table(
        "findings",
        _of_case(),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("structure", _NAME, nullable=False),
        sa.Column("rule", _NAME, nullable=False),
        sa.Column("severity", _NAME, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("value", sa.Float),
        sa.Column("limit", sa.Float),
        sa.Column("unit", _NAME, nullable=False),
        sa.Column("fix", _NAME, nullable=False),
        sa.Index("ix_findings_rule_severity", "rule", "severity"),
    )
    op.drop_index("ix_labels_kind_structure", "labels")
    op.add_column("labels", sa.Column("is_first", sa.Boolean, nullable=False, server_default=sa.true()))
    op.create_index("ix_labels_structure_kind", "labels", ["structure", "kind", "is_first"])
    op.execute(sa.text("UPDATE cases SET stamp = ''"))
