"""Alembic's migrations of the catalog, the oldest first."""
