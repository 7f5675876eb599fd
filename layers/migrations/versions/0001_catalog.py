"""The catalogue: layers, revisions, outbox, runs, rejects, keys; schemas and their rights."""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE catalog.layer (
    name text PRIMARY KEY,
    definition jsonb NOT NULL,
    access text NOT NULL DEFAULT 'restricted'
        CHECK (access IN ('public', 'government', 'restricted')),
    revision bigint NOT NULL DEFAULT 0,
    feature_count bigint NOT NULL DEFAULT 0,
    extent geometry(Polygon, 4490),
    time_from timestamptz,
    time_to timestamptz,
    applied_steps jsonb NOT NULL DEFAULT '[]',
    accuracy_m double precision,
    synthetic boolean,
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON COLUMN catalog.layer.revision IS
    'counter of committed writes; its row lock makes commit order revision order';

CREATE TABLE catalog.generation (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    generation bigint NOT NULL
);
INSERT INTO catalog.generation (generation) VALUES (1);

CREATE FUNCTION catalog.bump_generation() RETURNS bigint LANGUAGE sql AS $$
    UPDATE catalog.generation SET generation = generation + 1 RETURNING generation
$$;

CREATE TABLE catalog.delivery (
    name text PRIMARY KEY,
    bureau text NOT NULL,
    city text,
    synthetic boolean NOT NULL DEFAULT false,
    document jsonb NOT NULL DEFAULT '{}',
    fingerprint text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE catalog.run (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    delivery text,
    layer text,
    bureau text,
    principal text,
    status text NOT NULL DEFAULT 'running'
        CHECK (status IN ('running', 'succeeded', 'failed', 'unchanged')),
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at timestamptz,
    applied_steps jsonb NOT NULL DEFAULT '[]',
    accuracy_m double precision,
    synthetic boolean,
    counts jsonb NOT NULL DEFAULT '{}',
    report jsonb
);
CREATE INDEX run_delivery ON catalog.run (delivery, id);
CREATE INDEX run_running ON catalog.run (id) WHERE status = 'running';

CREATE TABLE catalog.reject (
    run bigint NOT NULL REFERENCES catalog.run ON DELETE CASCADE,
    file text,
    source_row bigint,
    id text,
    rule text NOT NULL,
    reason text NOT NULL,
    severity text NOT NULL DEFAULT 'reject'
        CHECK (severity IN ('reject', 'warn', 'block')),
    record jsonb,
    geom geometry(Geometry, 4490)
);
CREATE INDEX reject_run ON catalog.reject (run);

CREATE TABLE catalog.revision (
    layer text NOT NULL REFERENCES catalog.layer,
    revision bigint NOT NULL,
    at timestamptz NOT NULL,
    run bigint,
    principal text NOT NULL,
    inserted bigint NOT NULL,
    updated bigint NOT NULL,
    deleted bigint NOT NULL,
    PRIMARY KEY (layer, revision)
);
CREATE INDEX revision_at ON catalog.revision (layer, at);

CREATE TABLE catalog.outbox (
    layer text NOT NULL,
    revision bigint NOT NULL,
    ordinal bigint NOT NULL,
    operation text NOT NULL CHECK (operation IN ('insert', 'update', 'delete', 'bulk')),
    fid bigint,
    id text,
    envelope geometry(Polygon, 4490),
    feature_count bigint NOT NULL,
    PRIMARY KEY (layer, revision, ordinal)
);
COMMENT ON COLUMN catalog.outbox.envelope IS
    'around the old and the new position; NULL for features without geometry';

CREATE TABLE catalog.outbox_cursor (
    consumer text NOT NULL,
    layer text NOT NULL,
    revision bigint NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (consumer, layer)
);

CREATE TABLE catalog.api_key (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    bureau text,
    classes text[] NOT NULL,
    hash text NOT NULL UNIQUE,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    revoked_at timestamptz
);
CREATE UNIQUE INDEX api_key_name ON catalog.api_key (name) WHERE revoked_at IS NULL;

CREATE TABLE catalog.ddl (
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    layer text NOT NULL,
    statement text NOT NULL
);
CREATE INDEX ddl_layer ON catalog.ddl (layer, at);
"""

RIGHTS = """
GRANT USAGE ON SCHEMA catalog, layer, history, gazetteer
    TO geoserver_py_reader, geoserver_py_editor, geoserver_py_loader;
GRANT USAGE, CREATE ON SCHEMA staging TO geoserver_py_loader;
GRANT SELECT ON ALL TABLES IN SCHEMA catalog
    TO geoserver_py_reader, geoserver_py_editor, geoserver_py_loader;
GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA catalog TO geoserver_py_loader;
REVOKE INSERT, UPDATE, DELETE ON catalog.api_key, catalog.ddl FROM geoserver_py_loader;
GRANT INSERT, UPDATE ON catalog.delivery, catalog.run, catalog.outbox_cursor
    TO geoserver_py_editor;
GRANT INSERT ON catalog.reject TO geoserver_py_editor;
GRANT ALL ON SCHEMA catalog TO geoserver_py_owner;
GRANT ALL ON ALL TABLES IN SCHEMA catalog TO geoserver_py_owner;
REVOKE ALL ON SCHEMA catalog, layer, history, gazetteer, staging FROM PUBLIC;
"""


OWNERSHIP = """
DO $$ BEGIN
    EXECUTE format('GRANT CREATE ON DATABASE %I TO geoserver_py_owner', current_database());
END $$;
ALTER SCHEMA layer OWNER TO geoserver_py_owner;
ALTER SCHEMA history OWNER TO geoserver_py_owner;
"""


def upgrade() -> None:
    for schema in ("layer", "history", "gazetteer", "staging"):
        op.execute(f"CREATE SCHEMA {schema}")
    op.execute(TABLES)
    op.execute(RIGHTS)
    op.execute(OWNERSHIP)
    # what later revisions (and the gazetteer's index builds) create is readable by itself
    op.execute(
        "ALTER DEFAULT PRIVILEGES IN SCHEMA gazetteer GRANT SELECT ON TABLES"
        " TO geoserver_py_reader, geoserver_py_editor, geoserver_py_loader"
    )
    op.execute(
        "ALTER DEFAULT PRIVILEGES IN SCHEMA gazetteer GRANT INSERT, UPDATE, DELETE ON TABLES"
        " TO geoserver_py_loader"
    )


def downgrade() -> None:
    op.execute("DROP SCHEMA staging, gazetteer, history, layer CASCADE")
    op.execute(
        "DROP TABLE catalog.ddl, catalog.api_key, catalog.outbox_cursor, catalog.outbox,"
        " catalog.revision, catalog.reject, catalog.run, catalog.delivery, catalog.generation,"
        " catalog.layer"
    )
    op.execute("DROP FUNCTION catalog.bump_generation()")
