"""Registered datum steps of the city: parameters are data with an author, never code."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE catalog.datum_step (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            name text NOT NULL,
            entry jsonb NOT NULL CHECK (jsonb_typeof(entry) = 'object'),
            registered_by text NOT NULL,
            registered_at timestamptz NOT NULL DEFAULT now(),
            withdrawn_at timestamptz
        );
        CREATE UNIQUE INDEX datum_step_name ON catalog.datum_step (name)
            WHERE withdrawn_at IS NULL;
        CREATE TABLE catalog.datum_grid (
            name text PRIMARY KEY,
            title text NOT NULL,
            registered_by text NOT NULL,
            registered_at timestamptz NOT NULL DEFAULT now()
        );
        GRANT SELECT, INSERT, UPDATE ON catalog.datum_step, catalog.datum_grid
            TO geoserver_py_loader;
        COMMENT ON TABLE catalog.datum_step IS
            'Confidential survey parameters: no right for the reader role';
    """)


def downgrade() -> None:
    op.execute("DROP TABLE catalog.datum_step, catalog.datum_grid")
