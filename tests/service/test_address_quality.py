"""The quality report on the sample city: nothing is called wrong that was made right."""

from __future__ import annotations

import psycopg

from gazetteer.production.assign import assign
from gazetteer.production.codes import load_coders
from gazetteer.production.quality import survey
from layers.catalogue import load_catalogue
from layers.city import load_city
from tests.service.conftest import City

PROFILE = load_city("meizhou")


def test_a_city_numbered_in_order_has_advice_and_no_error(city: City) -> None:
    with psycopg.connect(city.dsn) as connection:
        readable = frozenset(load_catalogue(connection).layers)
        report = survey(connection, PROFILE, readable=readable)
    assert report.records > 1000
    assert report.streets > 50
    assert report.good_share == 1
    # its streets are numbered from the west and the south, annex B counts from east and north
    assert set(report.counts) == {"direction"}


def test_every_address_of_the_city_has_room_for_its_codes(city: City) -> None:
    with psycopg.connect(city.dsn) as connection:
        done = assign(connection, load_coders(PROFILE.codes).values())
        row = connection.execute("SELECT 2 * count(*) FROM layer.address").fetchone()
        connection.rollback()
    assert done.refused == ()
    assert row == (done.assigned,)
