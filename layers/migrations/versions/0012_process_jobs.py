"""Jobs of OGC API Processes: who asked for what, how far it is, how it ended."""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE catalog.process_job (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    process text NOT NULL,
    key text NOT NULL,
    state text NOT NULL DEFAULT 'arriving' CHECK (state IN
        ('arriving', 'accepted', 'running', 'successful', 'failed', 'dismissed')),
    message text,
    inputs jsonb NOT NULL,
    media_type text NOT NULL,
    rows_done bigint NOT NULL DEFAULT 0,
    rows_total bigint,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    started_at timestamptz,
    finished_at timestamptz,
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON COLUMN catalog.process_job.key IS
    'name of the API key that started it: it alone sees the job and its results';
CREATE INDEX process_job_key ON catalog.process_job (key, id);
GRANT SELECT ON catalog.process_job
    TO geoserver_py_reader, geoserver_py_editor, geoserver_py_loader;
GRANT INSERT, UPDATE, DELETE ON catalog.process_job TO geoserver_py_loader;
"""


def upgrade() -> None:
    op.execute(TABLES)


def downgrade() -> None:
    op.execute("DROP TABLE catalog.process_job")
