"""Rasters beside the layers: entries of the catalogue whose pixels stand in COG files."""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0009"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE catalog.raster (
    name text PRIMARY KEY,
    access text NOT NULL CHECK (access IN ('public', 'government', 'restricted')),
    file text NOT NULL,
    document jsonb NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON COLUMN catalog.raster.file IS 'name of the COG in the folder of rasters';
GRANT SELECT ON catalog.raster TO geoserver_py_reader, geoserver_py_editor, geoserver_py_loader;
GRANT INSERT, UPDATE, DELETE ON catalog.raster TO geoserver_py_loader;
"""


def upgrade() -> None:
    op.execute(TABLES)


def downgrade() -> None:
    op.execute("DROP TABLE catalog.raster")
