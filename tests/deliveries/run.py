"""Run the deliveries of this folder, and those of the package, into one database."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import resources
from pathlib import Path

import psycopg

from etl.report import LoadReport
from etl.run import run_delivery
from geoserver_py.real_deliveries.templates import write_real_deliveries
from layers.city import load_city
from layers.definition import LayerDefinition, load_definitions
from layers.schema import apply
from tests.deliveries.prepare import prepare

HERE = Path(__file__).parent


def definitions() -> dict[str, LayerDefinition]:
    """The package's layers and those that only these deliveries use."""
    package = Path(str(resources.files("layers") / "definitions"))
    return load_definitions([*package.glob("*.yaml"), *(HERE / "layers").glob("*.yaml")])


def written(data: Path, out: Path) -> dict[str, Path]:
    """Delivery files by name, with the data sets of `data` beside what was prepared."""
    prepare(data, out)
    own = write_real_deliveries(data, out, templates=HERE)
    packaged = write_real_deliveries(data, out)
    return {path.parent.name: path for path in (*own, *packaged)}


def run(paths: Iterable[Path], dsn: str) -> dict[str, tuple[LoadReport, ...]]:
    """Reports by delivery; layers are made first, frames come from here or from the package."""
    known = definitions()
    with psycopg.connect(dsn) as connection:
        apply(connection, [d for d in known.values() if d.name.startswith(("x_", "meizhou_"))])
    reports = {}
    for path in paths:
        city = _city(path)
        frame = load_city(city, HERE / "cities" if _own(city) else None)
        reports[path.parent.name] = run_delivery(path, dsn, frame, definitions=known)
    return reports


def _own(city: str) -> bool:
    return (HERE / "cities" / f"{city}.yaml").is_file()


def _city(path: Path) -> str:
    lines = path.read_text("utf-8").splitlines()
    return next(line.removeprefix("city: ") for line in lines if line.startswith("city: "))
