"""The private PostgreSQL is what a service and its tests may rely on."""

from __future__ import annotations

import psycopg


def test_a_database_of_ours_has_postgis_utf8_and_the_owner(database: str) -> None:
    with psycopg.connect(database) as connection:
        row = connection.execute(
            "SELECT current_user::text, current_setting('server_encoding'), "
            "ST_AsText(ST_Point(1, 2))"
        ).fetchone()
    assert row == ("geoserver_py", "UTF8", "POINT(1 2)")
