"""The deliveries that are wrong on purpose give exactly the findings that they were made for."""

from __future__ import annotations

import csv
from pathlib import Path

import psycopg
import pytest

from etl.checks import RULES
from etl.report import LoadReport, render_html
from etl.run import run_delivery
from geoserver_py.sample_city import BuildSummary
from layers.definition import load_definitions, standing
from layers.schema import apply
from tests.conftest import MakeDatabase

Found = set[tuple[str, str, str]]
SHOWN_ELSEWHERE = {
    "domain", "no_geometry", "unreadable", "geometry_type", "datum_step",  # tests/etl/test_checks
    "end_position", "neighbour_offset",  # tests/etl/test_judge
    "datum", "datum_accuracy",  # refusals of a file, not findings of a row
    # deliveries of a part of the city: tests/etl/test_partial
    "edge_gap", "border_crossing", "edge_open", "edge_snapped", "outside_area", "moved_in",
}  # fmt: skip


@pytest.fixture(scope="module")
def faulty_dsn(city: BuildSummary, make_database: MakeDatabase) -> str:
    """A database that holds divisions, and nothing that the mistakes could be mixed up with."""
    dsn = make_database("faults")
    with psycopg.connect(dsn) as connection:
        apply(connection, standing(load_definitions()))
    (divisions,) = (path for path in city.deliveries if path.parent.name == "civil-affairs")
    assert all(report.good for report in run_delivery(divisions, dsn))
    return dsn


@pytest.fixture(scope="module")
def reports(city: BuildSummary, faulty_dsn: str) -> dict[str, tuple[LoadReport, ...]]:
    """Reports of the faulty deliveries by folder, without the one whose columns are exchanged."""
    return {path.parent.name: run_delivery(path, faulty_dsn) for path in city.faulty[1:]}


def expected(folder: Path) -> Found:
    with (folder / "findings.csv").open(encoding="utf-8", newline="") as file:
        return {(row["layer"], row["id"], row["rule"]) for row in csv.DictReader(file)}


@pytest.mark.parametrize(
    "name", ["survey-faults", "grid-faults", "road-faults", "check-point-faults"]
)
def test_each_mistake_is_found_and_nothing_else(
    name: str, city: BuildSummary, faulty_dsn: str, reports: dict[str, tuple[LoadReport, ...]]
) -> None:
    found: Found = set()
    with psycopg.connect(faulty_dsn) as connection:
        for report in reports[name]:
            rows = connection.execute(
                "SELECT coalesce(id, ''), rule FROM catalog.reject WHERE run = %s", [report.run]
            )
            found |= {(report.layer, ident, rule) for ident, rule in rows}
    assert found == expected(city.folder / "faulty" / name)


def test_every_registered_rule_is_shown(city: BuildSummary) -> None:
    shown = {rule for path in city.faulty[1:] for _, _, rule in expected(path.parent)}
    assert shown | SHOWN_ELSEWHERE == set(RULES)
    assert not shown & SHOWN_ELSEWHERE


def test_a_report_says_where_by_which_clause_and_how_to_mend(
    reports: dict[str, tuple[LoadReport, ...]],
) -> None:
    _, lines = reports["survey-faults"]
    document = lines.to_json()
    for rule in document["rules"]:
        entry = document["rule_book"][rule]
        assert entry["clause"]
        assert entry["mend"]
    steep = [row for row in document["sample"] if row["rule"] == "slope"]
    assert [row["severity"] for row in steep] == ["warn", "warn"]
    for row in steep:
        assert row["file"] == "管线成果表.xlsx#JSLINE"
        assert row["row"] > 2
        lon, lat = row["place"]
        assert 116.13 < lon < 116.17
        assert 24.28 < lat < 24.32
    page = render_html(document)
    assert "CJJ 61-2017" in page
    assert RULES["slope"].mend in page


def test_the_layer_as_a_whole_is_refused_when_its_check_points_say_so(
    reports: dict[str, tuple[LoadReport, ...]],
) -> None:
    (report,) = reports["check-point-faults"]
    assert report.status.value == "blocked"
    (measure,) = report.measures
    assert measure["rmse_m"] == pytest.approx(3.0, abs=0.002)
    assert measure["count"] == 24
    assert "3.000 m" in str(report.reason)
