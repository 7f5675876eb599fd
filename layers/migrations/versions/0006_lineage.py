"""Where a version came from, which runs belong together or undo another, and outbox floors."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# `layers apply` owns these tables, but every write of this version names the column. Adding it
# without a default rewrites nothing, whatever the size of the table.
COLUMN = """
DO $$
DECLARE
    found record;
BEGIN
    FOR found IN
        SELECT table_schema, table_name FROM information_schema.tables
        JOIN catalog.layer ON layer.name = table_name
        WHERE table_schema IN ('layer', 'history')
    LOOP
        EXECUTE format('ALTER TABLE %I.%I ADD COLUMN IF NOT EXISTS source_ref bigint',
                       found.table_schema, found.table_name);
        INSERT INTO catalog.ddl (layer, statement) VALUES (
            found.table_name,
            format('ALTER TABLE %I.%I ADD COLUMN source_ref bigint',
                   found.table_schema, found.table_name));
    END LOOP;
END $$
"""

TABLES = """
ALTER TABLE catalog.run
    ADD COLUMN attempt bigint,
    ADD COLUMN reverts bigint REFERENCES catalog.run;
COMMENT ON COLUMN catalog.run.attempt IS
    'first run of the start that this run belongs to: a delivery has a run a layer';
COMMENT ON COLUMN catalog.run.reverts IS 'the run that this one rolled back';
CREATE INDEX run_attempt ON catalog.run (attempt);
CREATE INDEX revision_run ON catalog.revision (run) WHERE run IS NOT NULL;

CREATE TABLE catalog.outbox_floor (
    layer text PRIMARY KEY REFERENCES catalog.layer,
    revision bigint NOT NULL,
    pruned_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE catalog.outbox_floor IS
    'entries up to this revision were pruned: who stands before it must read the layer anew';
GRANT SELECT ON catalog.outbox_floor
    TO geoserver_py_reader, geoserver_py_editor, geoserver_py_loader;
GRANT INSERT, UPDATE ON catalog.outbox_floor TO geoserver_py_loader;
"""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(COLUMN.replace("%", "%%"))
    op.execute(TABLES)


def downgrade() -> None:
    op.execute("DROP TABLE catalog.outbox_floor")
    op.execute("DROP INDEX catalog.revision_run")
    op.execute("ALTER TABLE catalog.run DROP COLUMN attempt, DROP COLUMN reverts")
    drop = COLUMN.replace("ADD COLUMN IF NOT EXISTS source_ref bigint", "DROP COLUMN source_ref")
    drop = drop.replace("ADD COLUMN source_ref bigint", "DROP COLUMN source_ref")
    op.get_bind().exec_driver_sql(drop.replace("%", "%%"))
