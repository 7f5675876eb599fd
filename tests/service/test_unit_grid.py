"""An event lands in its unit grid cell, whatever notation its position came in."""

from __future__ import annotations

from datetime import date
from importlib import resources

import httpx
import psycopg
import pytest

from layers.definition import load_definitions
from layers.schema import apply
from tests.service.conftest import City

CENTRE = [
    {"lon": 116.12243233, "lat": 24.285977, "coordsys": "gcj02"},
    {"lon": 116.12897357, "lat": 24.29184529, "coordsys": "bd09"},
    {"lon": 116.1176, "lat": 24.2886, "coordsys": "cgcs2000"},
    {"lon": 116.1176, "lat": 24.2886, "coordsys": "wgs84"},
    {"north": 2687537.854, "east": 410413.240, "coordsys": "epsg:4548"},
    {"north": 2687537.854, "east": 39410413.240, "coordsys": "epsg:4527"},
    {"north": 2687537.854, "east": 20410413.240, "coordsys": "epsg:4498"},
]


def test_every_notation_of_one_point_gives_the_same_cell(client: httpx.Client) -> None:
    answers = [client.get("/grid/locate", params=position).json() for position in CENTRE]
    assert len({answer["cell"]["code"] for answer in answers}) == 1
    for answer in answers:
        assert answer["plane"]["north"] == pytest.approx(2687537.854, abs=0.002)
        assert answer["plane"]["east"] == pytest.approx(410413.240, abs=0.002)
        assert answer["coordsys"] == "cgcs2000"


def test_cell_is_the_polygon_that_holds_the_point(client: httpx.Client, city: City) -> None:
    answer = client.get("/grid/locate", params=CENTRE[2]).json()
    with psycopg.connect(city.dsn) as connection:
        inside = connection.execute(
            "SELECT id, village_code FROM layer.unit_grid"
            " WHERE ST_Contains(geom, ST_SetSRID(ST_MakePoint(116.1176, 24.2886), 4490))"
        ).fetchone()
    assert inside == (answer["cell"]["code"], answer["community"]["code"])
    assert answer["street"]["code"] == answer["community"]["code"][:9]
    assert answer["county"] == {"code": "441402", "name": "梅江区"}


def test_without_coordsys_the_answer_lists_what_is_accepted(client: httpx.Client) -> None:
    answer = client.get("/grid/locate", params={"lon": 116.1176, "lat": 24.2886})
    assert answer.status_code == 400
    assert {"cgcs2000", "wgs84", "gcj02", "bd09", "epsg:4548"} <= set(answer.json()["accepted"])


def test_points_on_shared_edges_always_get_the_same_cell(client: httpx.Client, city: City) -> None:
    """Midpoints of edges that two cells share, asked for in degrees and in plane metres."""
    with psycopg.connect(city.dsn) as connection:
        edges = connection.execute(
            """
            SELECT ST_X(p), ST_Y(p), ST_X(g), ST_Y(g), lowest
              FROM (SELECT ST_LineInterpolatePoint(edge, 0.37) AS p, lowest
                      FROM (SELECT (ST_Dump(ST_CollectionExtract(
                                       ST_Intersection(a.geom, b.geom), 2))).geom AS edge,
                                   least(a.id, b.id) AS lowest
                              FROM layer.unit_grid a
                              JOIN layer.unit_grid b ON a.id < b.id AND ST_Touches(a.geom, b.geom)
                             ORDER BY a.id LIMIT 60) AS shared
                     WHERE ST_GeometryType(edge) = 'ST_LineString') AS midpoints,
                   LATERAL (SELECT ST_Transform(p, 4548) AS g) AS plane
             LIMIT 40
            """
        ).fetchall()
    assert len(edges) >= 20
    for lon, lat, east, north, lowest in edges:
        codes = {
            client.get("/grid/locate", params=position).json()["cell"]["code"]
            for position in (
                {"lon": lon, "lat": lat, "coordsys": "cgcs2000"},
                {"lon": lon, "lat": lat, "coordsys": "wgs84"},
                {"north": round(north, 3), "east": round(east, 3), "coordsys": "epsg:4548"},
            )
        }
        assert codes == {lowest}


def test_nearest_component_of_the_class_by_brute_force(client: httpx.Client, city: City) -> None:
    answer = client.get("/grid/locate", params={**CENTRE[2], "category": "01003"}).json()
    with psycopg.connect(city.dsn) as connection:
        nearest = connection.execute(
            "SELECT id, ST_Distance(geom::geography,"
            " ST_SetSRID(ST_MakePoint(116.1176, 24.2886), 4490)::geography) AS d"
            " FROM layer.component WHERE class_code = '01003' ORDER BY d LIMIT 1"
        ).fetchone()
    assert nearest is not None
    if nearest[1] > 200:
        assert answer["component"] is None
    else:
        assert answer["component"]["code"] == nearest[0]
        assert answer["component"]["distance_m"] == pytest.approx(nearest[1], abs=0.01)
        assert answer["department"]["basis"] == "component"


def test_process_and_plain_route_answer_alike(client: httpx.Client) -> None:
    inputs = {**CENTRE[0], "category": "06010"}
    plain = client.get("/grid/locate", params=inputs)
    process = client.post("/processes/locate-event/execution", json={"inputs": inputs})
    assert plain.status_code == process.status_code == 200
    assert plain.json() == process.json()
    assert plain.json()["category"] == {"code": "06010", "name": "暴露垃圾"}


def test_address_locates_where_its_house_stands(client: httpx.Client, city: City) -> None:
    with psycopg.connect(city.dsn) as connection:
        row = connection.execute(
            "SELECT full_address, ST_X(geom), ST_Y(geom) FROM layer.address"
            " WHERE number IS NOT NULL AND unit IS NULL ORDER BY fid LIMIT 1"
        ).fetchone()
    assert row is not None
    answer = client.get("/grid/locate", params={"address": row[0]}).json()
    assert (answer["lon"], answer["lat"]) == pytest.approx((row[1], row[2]), abs=1e-8)


@pytest.mark.parametrize(
    ("position", "status", "code"),
    [
        ({"lon": 24.9414, "lat": 60.1718, "coordsys": "wgs84"}, 404, "outside-city"),
        ({"lon": 115.4, "lat": 24.9, "coordsys": "cgcs2000"}, 404, "outside-grid"),
        ({"north": 2687537.8, "east": 39410413.2, "coordsys": "epsg:4548"}, 400, None),
        ({"lon": 116.1, "lat": 24.2, "coordsys": "epsg:4548"}, 400, None),
        ({"lon": 116.1, "lat": 24.2, "coordsys": "epsg:4610"}, 400, None),
        ({"lon": 116.1, "lat": 24.2, "coordsys": "mars"}, 400, None),
        ({"lon": "NaN", "lat": 24.2, "coordsys": "wgs84"}, 400, "invalid-parameter"),
        ({"address": "梅江区", "lon": 116.1}, 400, "position-or-address"),
        ({}, 400, "position-or-address"),
    ],
)
def test_what_cannot_be_placed_is_refused_with_a_sentence(
    client: httpx.Client, position: dict[str, str | float], status: int, code: str | None
) -> None:
    answer = client.get("/grid/locate", params=position)
    assert answer.status_code == status
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["detail"]
    if code is not None:
        assert problem["type"].endswith(code)


def test_unknown_category_is_refused(client: httpx.Client) -> None:
    answer = client.get("/grid/locate", params={**CENTRE[2], "category": "01016"})
    assert answer.status_code == 400  # a gap in the numbering of GB/T 47678.5-2026


def test_a_cell_counts_from_its_first_day_to_the_day_before_its_end(database: str) -> None:
    """Cells redrawn in advance: the old one answers until the day on which the new one begins."""
    statement = (resources.files("geoserver_py") / "sql" / "unit_grid_cell.sql").read_text("utf-8")
    square = "SRID=4490;MULTIPOLYGON(((116 24,116.1 24,116.1 24.1,116 24.1,116 24)))"
    with psycopg.connect(database) as connection:
        apply(connection, [load_definitions()["unit_grid"]])
        connection.execute(
            "INSERT INTO layer.unit_grid"
            " (id, revision, row_hash, initial_date, end_date, geom) VALUES"
            " ('A', 1, 0, '2027-01-01', NULL, %(g)s),"
            " ('B', 1, 0, '2020-01-01', '2027-01-01', %(g)s)",
            {"g": square},
        )
        place = {"lon": 116.05, "lat": 24.05, "tolerance": 0.0}
        for day, cell in ((date(2026, 12, 31), "B"), (date(2027, 1, 1), "A")):
            row = connection.execute(statement, {**place, "today": day}).fetchone()
            assert row is not None
            assert row[0] == cell
