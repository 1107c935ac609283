"""Cases, masks, steps and revisions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = depends_on = None

_NAME = sa.String()
_SHA256 = sa.String(64)


def _of_case() -> sa.Column[str]:
    return sa.Column("case", _NAME, sa.ForeignKey("cases.case", ondelete="CASCADE"), primary_key=True)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "cases",
        sa.Column("case", _NAME, primary_key=True),
        sa.Column("dataset", _NAME, nullable=False, index=True),
        sa.Column("dataset_case", _NAME, nullable=False),
        sa.Column("label_set", _NAME),
        sa.Column("patient", _NAME, nullable=False, index=True),
        sa.Column("split", _NAME),
        sa.Column("phase", _NAME),
        sa.Column("n_i", sa.Integer, nullable=False),
        sa.Column("n_j", sa.Integer, nullable=False),
        sa.Column("n_k", sa.Integer, nullable=False),
        sa.Column("affine", sa.Text, nullable=False),
        sa.Column("scanner", sa.JSON, nullable=False),
        sa.Column("origin", _SHA256, nullable=False, index=True),
        sa.Column("origin_stamp", _SHA256, nullable=False),
        sa.Column("ct_sha256", _SHA256, nullable=False),
        sa.Column("voxels_sha256", _SHA256, nullable=False, index=True),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("duplicate_of", _NAME),
        sa.Column("stamp", _SHA256, nullable=False),
    )
    op.create_table(
        "labels",
        _of_case(),
        sa.Column("kind", _NAME, primary_key=True),
        sa.Column("origin", _NAME, primary_key=True),
        sa.Column("structure", _NAME, primary_key=True),
        sa.Column("volume_ml", sa.Float, nullable=False),
        sa.Column("n_voxels", sa.Integer, nullable=False),
        sa.Column("sha256", _SHA256, nullable=False),
        sa.Index("ix_labels_kind_structure", "kind", "structure"),
    )
    op.create_table(
        "runs",
        _of_case(),
        sa.Column("step", _NAME, primary_key=True),
        sa.Column("member", _NAME, primary_key=True),
        sa.Column("step_version", sa.Integer, nullable=False),
        sa.Column("key", _SHA256, nullable=False),
        sa.Column("ctatlas", _NAME, nullable=False),
    )
    op.create_table(
        "revisions",
        _of_case(),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("author", _NAME, nullable=False),
        sa.Column("minutes", sa.Float),
        sa.Column("tool", _NAME, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("created", _NAME, nullable=False),
        sa.Column("n_structures", sa.Integer, nullable=False),
    )
