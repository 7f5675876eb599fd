"""procrastinate's own schema, in schema jobs; its connections set search_path = jobs."""

from __future__ import annotations

from alembic import op
from procrastinate.schema import SchemaManager

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE SCHEMA jobs")
    op.execute("SET LOCAL search_path TO jobs")
    # by the driver: the text holds % and : that SQLAlchemy would take for parameters
    op.get_bind().exec_driver_sql(SchemaManager.get_schema().replace("%", "%%"))
    op.execute("SET LOCAL search_path TO DEFAULT")
    op.execute(
        "GRANT USAGE ON SCHEMA jobs TO geoserver_py_editor, geoserver_py_loader;"
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA jobs"
        " TO geoserver_py_editor, geoserver_py_loader;"
        "GRANT USAGE ON ALL SEQUENCES IN SCHEMA jobs TO geoserver_py_editor, geoserver_py_loader"
    )


def downgrade() -> None:
    op.execute("DROP SCHEMA jobs CASCADE")
