"""The arithmetic of the benchmark: what the tools print, read right; ratios of like with like."""

from __future__ import annotations

import pytest

from geoserver_py.bench.stats import (
    Goal,
    Measured,
    OutputError,
    medians,
    parse_pgbench,
    parse_pgbench_log,
    parse_wrk,
    percentile,
    ratios,
)

PGBENCH = """transaction type: multiple scripts
scaling factor: 1
query mode: prepared
number of clients: 8
number of transactions actually processed: 3930
number of failed transactions: 2 (0.051%)
latency average = 40.713 ms
initial connection time = 25.581 ms
tps = 196.498235 (without initial connection time)
"""

WRK = """Running 3s test @ http://127.0.0.1:8000
  4861 requests in 8.07s, 32.61MB read
{"seconds":8.069,"requests":4861,"bytes":34191583,"p50":10.702,"p95":42.946,"p99":75.8,"errors":0}
"""


def measured(case: str, target: str, rate: float, clients: int = 8) -> Measured:
    return Measured(case, target, clients, 3.0, rate, 1.0, 2.0, 3.0)


def test_rate_and_failures_of_pgbench_are_read() -> None:
    assert parse_pgbench(PGBENCH) == (196.498235, 2)


def test_output_without_figures_is_an_error_and_not_a_zero() -> None:
    with pytest.raises(OutputError, match="no rate"):
        parse_pgbench("pgbench: error: connection refused")
    with pytest.raises(OutputError, match="no figures"):
        parse_wrk("unable to connect to 127.0.0.1:8000 Connection refused")


def test_figures_of_wrk_are_the_line_that_the_script_prints() -> None:
    figures = parse_wrk(WRK)
    assert (figures["requests"], figures["p95"], figures["errors"]) == (4861, 42.946, 0)


def test_latencies_of_a_pgbench_log_are_its_third_column_in_microseconds() -> None:
    lines = ["0 0 1500 0 1700000000 12", "1 0 500 0 1700000000 13", ""]
    assert parse_pgbench_log(lines) == [0.5, 1.5]


def test_percentile_is_by_nearest_rank() -> None:
    ordered = [float(value) for value in range(1, 101)]
    assert [percentile(ordered, share) for share in (0.5, 0.95, 0.99, 1.0)] == [50, 95, 99, 100]
    assert percentile([7.0], 0.5) == 7.0
    with pytest.raises(OutputError):
        percentile([], 0.5)


def test_a_ratio_is_the_median_of_the_ratios_of_repeats_run_side_by_side() -> None:
    # the second repeat was disturbed: both lost half their rate, the ratio nothing
    found = [
        measured("tiles-1ms", "sql", 1000), measured("tiles-1ms", "geoserver_py", 700),
        measured("tiles-1ms", "sql", 500), measured("tiles-1ms", "geoserver_py", 350),
        measured("tiles-1ms", "sql", 1000), measured("tiles-1ms", "geoserver_py", 720),
    ]  # fmt: skip
    (ratio,) = ratios(found, [Goal("tiles-1ms", "sql", 0.6)])
    assert (ratio.other, ratio.clients) == ("sql", 8)
    assert ratio.value == pytest.approx(0.7)
    assert ratio.reached is True


def test_goals_are_for_eight_clients_only() -> None:
    found = [measured("items10", "tipg", 10, 1), measured("items10", "geoserver_py", 300, 1)]
    (ratio,) = ratios(found, [Goal("items10", "tipg", 20)])
    assert ratio.value == 30
    assert ratio.goal is None
    assert ratio.reached is None


def test_median_repeat_keeps_its_own_latencies_and_the_errors_of_all() -> None:
    found = [measured("a", "x", rate) for rate in (30.0, 10.0, 20.0)]
    broken = Measured("a", "x", 8, 3.0, 5.0, 9.0, 9.0, 9.0, errors=4)
    (middle,) = medians([*found[:2], broken])
    assert middle.rate == 10.0
    assert middle.p95 == 2.0
    assert middle.errors == 4
