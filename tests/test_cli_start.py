"""The command line answers at once: help and `db status` import none of the heavy rooms."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("pandas", "pyarrow", "pyogrio", "pygeoapi", "shapely", "pypinyin", "alembic")
LOADED = (
    "import sys; from geoserver_py.cli.app import app\n"
    "try:\n    app(sys.argv[1:])\n"
    "finally:\n    print('loaded:', *(n for n in {heavy} if n in sys.modules))"
)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    code = LOADED.format(heavy=HEAVY)
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["db", "--help"], ["demo"]])
def test_help_imports_no_heavy_library(arguments) -> None:
    done = run(*arguments)
    assert done.stdout.splitlines()[-1] == "loaded:", done.stderr


def test_db_status_imports_no_heavy_library(postgis, monkeypatch) -> None:
    monkeypatch.setenv("DATABASE_URL", postgis)
    done = run("db", "status", "--json")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "loaded:"


@pytest.mark.parametrize(
    "command", ["db", "layers", "keys", "etl", "datum", "gazetteer", "tiles", "demo", "serve"]
)
def test_every_command_of_the_help_exists(command) -> None:
    assert command in run("--help").stdout
    done = run(command, "--help")
    assert done.returncode == 0, done.stderr
    assert f"{command} [OPTIONS]" in done.stdout


@pytest.mark.parametrize("port", ["0", "99999"])
def test_a_port_that_cannot_be_is_a_usage_error(port: str) -> None:
    done = run("serve", "--port", port)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
