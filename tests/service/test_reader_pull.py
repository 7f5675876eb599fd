"""The reader of OGC API Features against this service, as a neighbouring city pulls from it."""

from __future__ import annotations

import datetime as dt

import numpy as np
import psycopg
import pytest
import shapely

from etl.readers import ReadError, ReadOptions, open_source
from etl.readers.pull import Pull
from etl.readers.service import open_pull, open_service
from tests.service.conftest import City


def test_a_whole_collection_is_pulled(city: City) -> None:
    source = open_source(f"oapif+{city.url}", ReadOptions(layer="road"))
    assert source.layer.declared_crs == "OGC:CRS84"
    pulled = {}
    for batch in source.batches():
        for shape, record in zip(batch.geometry, batch.attributes.to_pylist(), strict=True):
            pulled[record["id"]] = shape
    with psycopg.connect(city.dsn) as connection:
        stored = {
            row[0]: shapely.from_wkb(row[1])
            for row in connection.execute("SELECT id, ST_AsBinary(geom) FROM layer.road")
        }
    assert pulled.keys() == stored.keys()
    for identity, shape in stored.items():
        np.testing.assert_allclose(
            shapely.get_coordinates(pulled[identity]), shapely.get_coordinates(shape), atol=1e-9
        )


def test_a_collection_in_a_plane_grid_of_part_2(city: City) -> None:
    """EPSG:4548 is north first by its authority; the reader gives x = east."""
    pull = Pull(f"oapif+{city.url}", crs="EPSG:4548")
    source = open_pull(pull, ReadOptions(layer="road"))
    assert source.layer.declared_crs == "EPSG:4548"
    pulled = {
        record["id"]: shape
        for batch in source.batches()
        for shape, record in zip(batch.geometry, batch.attributes.to_pylist(), strict=True)
    }
    with psycopg.connect(city.dsn) as connection:
        rows = connection.execute(
            "SELECT id, ST_AsBinary(ST_Transform(geom, 4548)) FROM layer.road"
        ).fetchall()
    assert len(pulled) == len(rows)
    for identity, wkb in rows:
        theirs = shapely.get_coordinates(shapely.from_wkb(wkb))
        np.testing.assert_allclose(shapely.get_coordinates(pulled[identity]), theirs, atol=2e-4)
    with pytest.raises(ReadError, match="does not offer EPSG:32650"):
        _ = open_pull(Pull(f"oapif+{city.url}", crs="EPSG:32650"), ReadOptions(layer="road")).layer


def test_restricted_layers_and_changes_cannot_be_pulled(city: City) -> None:
    names = {layer.name for layer in open_source(f"oapif+{city.url}").info.layers}
    assert not any(name.startswith("pipe") for name in names)
    with pytest.raises(ReadError, match="cannot tell what changed"):
        open_service(f"oapif+{city.url}", ReadOptions(), dt.datetime.now(dt.UTC))
