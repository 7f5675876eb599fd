"""Address production: serial numbers of codes, codes given, cases and their stages."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE gazetteer.code_number (
    scope text NOT NULL,
    name text NOT NULL,
    number integer NOT NULL CHECK (number > 0),
    PRIMARY KEY (scope, name),
    UNIQUE (scope, number)
);
COMMENT ON TABLE gazetteer.code_number IS
    'serial numbers of names within a leading part of a code; never given to another name';

CREATE TABLE gazetteer.address_code (
    code text PRIMARY KEY,
    style text NOT NULL CHECK (style IN ('area', 'coordinate')),
    address text NOT NULL,
    assigned_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    retired_at timestamptz
);
CREATE UNIQUE INDEX address_code_live ON gazetteer.address_code (address, style)
    WHERE retired_at IS NULL;
COMMENT ON COLUMN gazetteer.address_code.address IS 'id in layer address; no reference, since the
    code of an address that is gone stays taken';

CREATE TABLE gazetteer.address_case (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    address text NOT NULL,
    operation text NOT NULL CHECK (operation IN ('create', 'change', 'retire')),
    stage text NOT NULL DEFAULT 'draft'
        CHECK (stage IN ('draft', 'review', 'published', 'withdrawn')),
    properties jsonb NOT NULL DEFAULT '{}',
    geom geometry(Point, 4490),
    author text NOT NULL,
    reviewer text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    layer_revision bigint
);
CREATE UNIQUE INDEX address_case_open ON gazetteer.address_case (address)
    WHERE stage IN ('draft', 'review');

CREATE TABLE gazetteer.address_stage (
    address_case bigint NOT NULL REFERENCES gazetteer.address_case,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    stage text NOT NULL,
    actor text NOT NULL,
    note text NOT NULL DEFAULT ''
);
CREATE INDEX address_stage_case ON gazetteer.address_stage (address_case, at);
"""


def upgrade() -> None:
    op.execute(TABLES)


def downgrade() -> None:
    op.execute(
        "DROP TABLE gazetteer.address_stage, gazetteer.address_case, gazetteer.address_code,"
        " gazetteer.code_number"
    )
