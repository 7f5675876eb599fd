"""The house keeps its plan: arrows point down, nothing here depends on one machine's world."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
BELOW = {
    "layers": set(),
    "etl": {"layers"},
    "tiles": {"layers"},
    "gazetteer": {"layers"},
    "geoserver_py": {"layers", "etl", "tiles", "gazetteer"},
}
REGISTRIES = re.compile(
    # in pieces, so that this file itself names none of them
    r"registry\.n"
    r"pm|npm"
    r"js\.|py"
    r"pi\.org|python"
    r"hosted|npm"
    r"mirror|tuna\.t"
    r"singhua"
    r"|mirrors?\.ali"
    r"yun"
    r"|deb\.debian|--index-url|--extra-index",
)
FOREIGN_PATHS = re.compile(r"(?<![\w.])/(?:root|home/\w+)/")


def tracked() -> list[Path]:
    """Files that a clone has; without git (an unpacked archive) the files that lie here."""
    listing = subprocess.run(
        ["git", "-C", str(REPOSITORY), "ls-files", "-z"], capture_output=True, check=False
    )
    if listing.returncode != 0:
        skipped = {".venv", ".data", "node_modules", "__pycache__"}
        return [
            path
            for path in REPOSITORY.rglob("*")
            if path.is_file() and not skipped & set(path.relative_to(REPOSITORY).parts)
        ]
    names = listing.stdout.decode().split("\0")
    return [REPOSITORY / name for name in names if name and (REPOSITORY / name).exists()]


def imported(path: Path) -> set[str]:
    """Top-level packages that a module imports, lazily or for typing alike."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("room", BELOW)
def test_a_room_imports_only_the_rooms_below_it(room: str) -> None:
    others = (set(BELOW) | {"tests"}) - {room}
    wrong = {
        str(path.relative_to(REPOSITORY)): sorted(names)
        for path in (REPOSITORY / room).rglob("*.py")
        if (names := imported(path) & others - BELOW[room])
    }
    assert wrong == {}


def test_no_file_names_a_package_registry_or_somebodys_home() -> None:
    wrong = []
    for path in tracked():
        if path.suffix in {".png", ".jpg", ".pbf", ".woff2", ".parquet", ".gz"}:
            continue
        if path == Path(__file__):
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        for pattern in (REGISTRIES, FOREIGN_PATHS):
            found = pattern.search(text)
            if found:
                wrong.append(f"{path.relative_to(REPOSITORY)}: {found[0]}")
    assert wrong == []


def test_constraints_pin_every_declared_dependency_exactly() -> None:
    text = (REPOSITORY / "constraints.txt").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []
    pinned = {re.sub(r"[-_.]+", "-", line.split("==")[0]).lower() for line in lines}
    project = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    declared = set()
    for block in re.findall(r"^(?:dependencies|dev) = \[(.*?)^\]", project, re.DOTALL | re.M):
        declared |= set(re.findall(r'"([\w.-]+)', block))
    assert {re.sub(r"[-_.]+", "-", name).lower() for name in declared} - pinned == set()


def test_no_module_grows_into_two_ideas() -> None:
    long = {
        str(path.relative_to(REPOSITORY)): count
        for room in BELOW
        for path in (REPOSITORY / room).rglob("*.py")
        if (count := path.read_text(encoding="utf-8").count("\n"))
        > 600  # 400 is the aim; past this nobody argues
    }
    assert long == {}


def test_every_package_that_the_rooms_import_is_declared() -> None:
    """What another package happens to bring along is absent from the next clean machine."""
    project = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    block = re.search(r"^dependencies = \[(.*?)^\]", project, re.DOTALL | re.M)
    optional = re.search(r"^dask = \[(.*?)^\]", project, re.DOTALL | re.M)
    assert block is not None
    assert optional is not None, "etl.spread says which extra it wants where Dask is absent"
    declared = set()
    for name, extras in re.findall(r'"([\w.-]+)(?:\[([\w,]+)\])?', block[1] + optional[1]):
        parts = [name, *(f"{name}-{extra}" for extra in extras.split(",") if extra)]
        declared |= {re.sub(r"[-_.]+", "-", part).lower() for part in parts}
    distributions = importlib.metadata.packages_distributions()
    missing = {}
    for room in BELOW:
        for path in (REPOSITORY / room).rglob("*.py"):
            if "node_modules" in path.parts:
                continue
            for name in imported(path) - set(BELOW) - sys.stdlib_module_names:
                owners = {re.sub(r"[-_.]+", "-", n).lower() for n in distributions.get(name, [])}
                if not owners & declared:
                    missing[str(path.relative_to(REPOSITORY))] = name
    assert missing == {}


def test_a_worker_of_the_service_loads_no_readers_of_files() -> None:
    """They take 130 MB and 1.8 s of every worker; deliveries are read in processes of their own."""
    listing = subprocess.run(
        [sys.executable, "-c", "import sys, geoserver_py.app; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        cwd=REPOSITORY,
    )
    loaded = set(listing.stdout.split())
    heavy = {"pandas", "geopandas", "pyarrow", "pyogrio", "ezdxf", "openpyxl", "docx", "rasterio"}
    assert not loaded & heavy
