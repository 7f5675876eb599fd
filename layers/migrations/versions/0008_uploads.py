"""Deliveries over HTTP: uploads with their states, keys that may deliver, the files of a run."""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0006"
branch_labels = None
depends_on = None

TABLES = """
ALTER TABLE catalog.run ADD COLUMN path text;
COMMENT ON COLUMN catalog.run.path IS
    'the delivery file of the run: rejected rows are written back from the files beside it';

ALTER TABLE catalog.api_key
    ADD COLUMN rights text[] NOT NULL DEFAULT '{}' CHECK (rights <@ ARRAY['deliver', 'admin']),
    ADD COLUMN layers text[];
COMMENT ON COLUMN catalog.api_key.layers IS
    'layers that the key may deliver to; NULL: those whose definition names its bureau';

CREATE TABLE catalog.upload (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    bureau text NOT NULL,
    key text NOT NULL,
    state text NOT NULL DEFAULT 'received' CHECK (state IN
        ('received', 'inspecting', 'waiting', 'queued', 'running',
         'done', 'blocked', 'failed', 'refused')),
    message text,
    size_bytes bigint NOT NULL DEFAULT 0,
    delivery text,
    runs bigint[] NOT NULL DEFAULT '{}',
    progress jsonb NOT NULL DEFAULT '{}',
    inspection jsonb,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX upload_bureau ON catalog.upload (bureau, id);
CREATE INDEX upload_delivery ON catalog.upload (delivery);
GRANT SELECT ON catalog.upload
    TO geoserver_py_reader, geoserver_py_editor, geoserver_py_loader;
GRANT INSERT, UPDATE, DELETE ON catalog.upload TO geoserver_py_loader;
"""


def upgrade() -> None:
    op.execute(TABLES)


def downgrade() -> None:
    op.execute("DROP TABLE catalog.upload")
    op.execute("ALTER TABLE catalog.api_key DROP COLUMN rights, DROP COLUMN layers")
    op.execute("ALTER TABLE catalog.run DROP COLUMN path")
