"""Run the revisions on the connection that `layers.migrate` hands over.

There is no alembic.ini: the DSN comes from the caller, and one transaction holds all revisions,
so that a failed upgrade leaves the database as it was.
"""

from __future__ import annotations

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=None,
    version_table="migration",
    version_table_schema="catalog",
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
