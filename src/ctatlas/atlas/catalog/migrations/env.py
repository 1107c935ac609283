"""How Alembic reaches the catalog: through the connection it is given."""

from __future__ import annotations

from alembic import context

from ctatlas.atlas.catalog.tables import Table

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Table.metadata,
    render_as_batch=True,  # SQLite can't alter columns in place
    transactional_ddl=True,  # `engines` begins transactions for SQLite, too
)
with context.begin_transaction():
    context.run_migrations()
