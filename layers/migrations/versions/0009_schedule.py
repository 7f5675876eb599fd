"""Deliveries pulled on a schedule, and how often each is expected; floors of old outboxes."""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TABLES = """
ALTER TABLE catalog.delivery ADD COLUMN expected_every interval;
COMMENT ON COLUMN catalog.delivery.expected_every IS
    'how often the bureau has promised to deliver; NULL: no promise';

CREATE TABLE catalog.schedule (
    delivery text PRIMARY KEY REFERENCES catalog.delivery,
    path text NOT NULL,
    cron text NOT NULL,
    timezone text NOT NULL,
    retry_times integer NOT NULL CHECK (retry_times BETWEEN 0 AND 20),
    retry_minutes double precision NOT NULL CHECK (retry_minutes >= 0),
    added_by text NOT NULL,
    added_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    handled_until timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON COLUMN catalog.schedule.path IS 'absolute path of the delivery file on the worker';
COMMENT ON COLUMN catalog.schedule.handled_until IS
    'every due time up to this one has its job; several missed ones have one job together';
GRANT SELECT ON catalog.schedule TO geoserver_py_reader, geoserver_py_editor, geoserver_py_loader;
GRANT INSERT, UPDATE, DELETE ON catalog.schedule TO geoserver_py_loader;

-- what an operator pruned before floors were kept
INSERT INTO catalog.outbox_floor (layer, revision)
SELECT layer, min(revision) - 1 FROM catalog.outbox GROUP BY layer HAVING min(revision) > 1
ON CONFLICT DO NOTHING;
"""


def upgrade() -> None:
    op.execute(TABLES)


def downgrade() -> None:
    op.execute("DROP TABLE catalog.schedule")
    op.execute("ALTER TABLE catalog.delivery DROP COLUMN expected_every")
