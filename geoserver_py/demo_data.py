"""The data of `make demo`: sample city and real deliveries, built and loaded only when changed.

A second start must take seconds, so what was built or loaded is remembered by a digest of all
that it came from: seed and scale, the delivered files, and the code that reads them. ETL and
sample city are imported only where they have work to do: their libraries take a second to load.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from etl.delivery import Delivery, load_delivery
from geoserver_py.errors import WorkFailed
from geoserver_py.settings import Settings

if TYPE_CHECKING:
    from etl.report import LoadReport

PACKAGES = Path(__file__).resolve().parent.parent
Say = Callable[[str], None]
NEEDED_PER_SCALE = 150 * 2**20  # bytes on disk of the sample city, files and tables, measured
CODE = ("*.py", "*.yaml", "*.sql", "*.csv")


@dataclass(frozen=True)
class Remembered:
    """A small JSON file of digests: what was done, and from what."""

    path: Path

    def read(self) -> dict[str, str]:
        """Return the digests by name; none when the file is absent or cut short."""
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        return {str(name): str(digest) for name, digest in found.items()}

    def write(self, name: str, digest: str) -> None:
        """Remember one digest; the file is replaced whole, so a kill leaves the old one."""
        fresh = self.path.with_suffix(".new")
        fresh.write_text(json.dumps({**self.read(), name: digest}, indent=1), encoding="utf-8")
        fresh.replace(self.path)


def sample_folder(settings: Settings) -> Path:
    """Return where the sample city's deliveries lie."""
    return settings.data_dir / "sample"


def build_sample(settings: Settings, _say: Say) -> str:
    """Write the deliveries of the synthetic sample city, unless these very ones are there."""
    folder = sample_folder(settings)
    memory = Remembered(settings.data_dir / "built.json")
    digest = _digest(
        [repr((settings.demo_seed, settings.demo_scale)).encode()],
        [PACKAGES / "geoserver_py" / "sample_city"],
    )
    if memory.read().get("sample") == digest and folder.is_dir():
        return "unchanged"
    _require_room(settings)
    from geoserver_py.sample_city import build_sample_city

    summary = build_sample_city(folder, settings.demo_seed, settings.demo_scale)
    memory.write("sample", digest)
    return f"{sum(summary.features.values())} synthetic features"


def _require_room(settings: Settings) -> None:
    needed = int(NEEDED_PER_SCALE * settings.demo_scale) + 300 * 2**20
    free = shutil.disk_usage(settings.data_dir).free
    if free < needed:
        raise WorkFailed(
            f"{settings.data_dir} has {free // 2**20} MB free and the sample city needs "
            f"{needed // 2**20} MB: make room, or a smaller city (GEOSERVER_PY_DEMO_SCALE=0.2)"
        )


def load_sample(settings: Settings, say: Say) -> str:
    """Run the sample city's deliveries that are new or changed; WorkFailed if one is refused."""
    paths = sorted(sample_folder(settings).glob("*/delivery.yaml"))
    return load_all(settings, paths, say)


def load_all(settings: Settings, paths: Iterable[Path], say: Say) -> str:
    """Run deliveries in order, skipping those whose files, code and last run are as they were."""
    memory = Remembered(settings.data_dir / "loaded.json")
    dsn = settings.dsn()
    code = [PACKAGES / "etl", PACKAGES / "layers"]
    ran = unchanged = 0
    for path in paths:
        delivery = load_delivery(path)
        digest = _digest(_stamps(delivery), code)
        last = _last_run(dsn, delivery.name)
        if last and memory.read().get(delivery.name) == f"{digest} {last}":
            unchanged += 1
            continue
        from etl.report import Status
        from etl.run import run_delivery

        reports = run_delivery(delivery, dsn)
        for report in reports:
            say(f"      {_line(report)}")
        bad = [r for r in reports if r.status in (Status.FAILED, Status.BLOCKED)]
        if bad:
            raise WorkFailed(f"{delivery.name}, {bad[0].layer}: {bad[0].reason}")
        memory.write(delivery.name, f"{digest} {_last_run(dsn, delivery.name)}")
        ran += 1
    return f"{ran} deliveries run, {unchanged} unchanged"


def _line(report: LoadReport) -> str:
    counts = ", ".join(f"{value} {name}" for name, value in report.counts.items() if value)
    kind = "synthetic " if report.synthetic else ""
    return f"{kind}{report.layer} <- {report.bureau}: {report.status.value}; {counts}"


def _last_run(dsn: str, name: str) -> str:
    """Return id and time of the delivery's last run; "" if that did not succeed.

    A database that was dropped or restored thereby differs from what is remembered.
    """
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            "SELECT id::text || ' ' || started_at::text, status IN ('succeeded', 'unchanged')"
            " FROM catalog.run WHERE delivery = %s ORDER BY id DESC LIMIT 1",
            [name],
        ).fetchone()
    return str(row[0]) if row and row[1] else ""


def _stamps(delivery: Delivery) -> list[bytes]:
    """Name, size and time of every file of a delivery, the sidecars of a Shapefile included."""
    named = {source.path for load in delivery.loads for source in load.files} | {delivery.path}
    if delivery.datum_parameters:
        named.add(delivery.datum_parameters)
    stamps = []
    for path in sorted(named):
        parts = path.rglob("*") if path.is_dir() else path.parent.glob(f"{path.stem}.*")
        for part in sorted(parts):
            found = part.stat()
            stamps.append(f"{part} {found.st_size} {found.st_mtime_ns}".encode())
    return stamps


def _digest(facts: Iterable[bytes], folders: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for fact in facts:
        digest.update(fact + b"\0")
    for folder in folders:
        for path in sorted(path for pattern in CODE for path in folder.rglob(pattern)):
            digest.update(path.read_bytes())
    return digest.hexdigest()
