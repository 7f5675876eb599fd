"""The comparison of two sizes of city as the document shows it."""

from geoserver_py.bench.gazetteer_scale import table


def test_costs_and_their_ratio_stand_in_one_row() -> None:
    found = {
        "date": "2026-11-23",
        "addresses": [1_020_660, 8_265_300],
        "figures": [{"case": "suggest", "cpu_ms": {"1": 0.417, "10": 0.498}, "ratio": 1.2}],
    }
    heading, _, row = table(found).splitlines()
    assert "1,020,660 addresses" in heading
    assert row == "| suggest | 0.417 ms | 0.498 ms | 1.2 | 1.5 | 2026-11-23 |"
