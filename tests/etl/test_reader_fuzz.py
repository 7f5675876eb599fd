"""Damaged files of every format: a reported reason or rows, never a crash, never a hang.

Ten seeds a format here; `make fuzz` (GEOSERVER_PY_FUZZ_SEEDS=200) runs two hundred.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from etl.readers import ReadError, ReadOptions, open_source, read
from tests.etl.fuzz_files import FORMATS

SEEDS = int(os.environ.get("GEOSERVER_PY_FUZZ_SEEDS", "10"))
REPOSITORY = Path(__file__).resolve().parents[2]
HANG_SECONDS = 60
NAMES = [
    name for name in FORMATS
    if not name.endswith(("mdb", "accdb")) or shutil.which("mdb-export") is not None
]  # fmt: skip


@pytest.fixture(scope="module")
def outcomes() -> dict[str, list[dict[str, Any]]]:
    """What the worker said of each format; after a crash it goes on with the next format."""
    said: dict[str, list[dict[str, Any]]] = {}
    left = list(NAMES)
    while left:
        command = [sys.executable, "-m", "tests.etl.fuzz_worker", "0", str(SEEDS), *left]
        with subprocess.Popen(
            command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            out, errors = process.communicate(timeout=HANG_SECONDS * (SEEDS + 1) * len(left))
        for line in out.splitlines():
            if not line.startswith("{"):
                continue  # remarks of libraries
            entry = json.loads(line)
            said.setdefault(entry["name"], []).append(entry)
        if process.returncode == 0:
            break
        at = next(reversed(said), left[0])
        said.setdefault(at, []).append({"crash": process.returncode, "errors": errors[-2000:]})
        left = left[left.index(at) + 1 :]
    return said


@pytest.mark.timeout(HANG_SECONDS * (SEEDS + 2) * 25)
@pytest.mark.parametrize("name", NAMES)
def test_damaged_files_are_reasons(outcomes, name):
    entries = outcomes[name]
    assert not any("crash" in entry for entry in entries), entries[-2:]
    finished = {entry["seed"]: entry for entry in entries if "said" in entry}
    assert sorted(finished) == list(range(SEEDS))
    assert max(entry["seconds"] for entry in finished.values()) < HANG_SECONDS
    told = ("read ", "refused ")
    assert [e for e in finished.values() if not e["said"].startswith(told)] == []


TOLD_BY_THE_FORMAT = sorted(
    set(FORMATS) - {"a.csv", "a.dat", "epanet.inp", "swmm.inp", "a.mif", "a.xls"}
)  # lines without a count, and .xls, whose cut-off sheets xlrd reads as far as they go


@pytest.mark.parametrize("name", [n for n in TOLD_BY_THE_FORMAT if n in NAMES])
@pytest.mark.parametrize("keep", [0.5, 0.9])
def test_a_cut_off_file_never_passes_for_a_smaller_one(tmp_path, name, keep):
    path = tmp_path / name
    FORMATS[name](path)
    whole = sum(len(b.rows) for layer in _layers(path) for b in layer)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    try:
        rows, problems = 0, 0
        for layer in _layers(path):
            for batch in layer:
                rows += len(batch.rows)
                problems += len(batch.problems)
    except ReadError:
        return
    assert rows == whole or problems


def _layers(path: Path):
    return [read(path, ReadOptions(layer=x.name)) for x in open_source(path).info.layers]
