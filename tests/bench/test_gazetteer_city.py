"""The synthetic city of the address benchmark: whole or made anew."""

from collections.abc import Iterator
from functools import cached_property

import psycopg
import pyarrow as pa
import pytest

from geoserver_py.bench.gazetteer_city import SyntheticCity, filled
from geoserver_py.cluster import ClusterInfo, drop_database


class OneTown(SyntheticCity):
    """The city of the first town alone."""

    @cached_property
    def towns(self) -> tuple[str, ...]:
        return super().towns[:1]


class Interrupted(OneTown):
    """Ends where a fill was killed: before the last layer, the addresses."""

    def layers(self) -> Iterator[tuple[str, pa.Table]]:
        for layer, table in super().layers():
            if layer == "address":
                raise KeyboardInterrupt
            yield layer, table


def _addresses(dsn: str) -> int:
    with psycopg.connect(dsn) as connection:
        row = connection.execute("SELECT count(*) FROM layer.address").fetchone()
    assert row is not None
    return int(row[0])


def test_an_interrupted_fill_is_made_anew_and_a_whole_one_is_kept(cluster: ClusterInfo) -> None:
    name = "bench_interrupted"
    try:
        with pytest.raises(KeyboardInterrupt):
            filled(cluster, name, Interrupted())
        dsn = filled(cluster, name, OneTown())
        whole = _addresses(dsn)
        assert whole > 6000
        # were it filled again, the interruption would show
        assert _addresses(filled(cluster, name, Interrupted())) == whole
    finally:
        drop_database(cluster, name)
