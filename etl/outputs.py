"""What a bureau gets of a run: report as page and document, list, drawing, and rejected rows."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg

from etl.datum import DatumChain, DatumError, DatumRegistry
from etl.datum.store import load_registry
from etl.delivery import Delivery, DeliveryError, load_delivery
from etl.rejects import Package, RejectsError, marks_of_runs, write_rejects, zip_folder
from etl.report import render_html
from etl.report.backdrop import county_borders
from etl.report.document import write_document
from etl.report.drawing import Drawn, write_drawing
from etl.report.findings import stored_findings
from etl.report.listing import write_list
from etl.report.plane import NoPlaneGrid, plane_chain
from layers.city import CityProfile, load_city


class NoReport(LookupError):  # noqa: N818 - it names a state
    """No such run, or one that has no report yet."""


@dataclass(frozen=True)
class FinishedRun:
    """A run as the ledger keeps it; `report` is `LoadReport.to_json`."""

    id: int
    layer: str
    delivery: str
    path: Path | None
    finished_at: datetime | None
    report: Mapping[str, Any]
    profile: CityProfile

    def stated(self, path: Path | None = None) -> Delivery:
        """The delivery of the run, from `path` or where it was; RejectsError if it is gone."""
        found = path or self.path
        if found is None or not found.is_file():
            raise RejectsError(
                f"批次 {self.id}：交付文件不在 {found or '—'}，请用 --delivery 指明 "
                f"(the delivery file is not there; name it)"
            )
        try:
            return load_delivery(found)
        except DeliveryError as changed:
            raise RejectsError(str(changed)) from changed


def finished_run(connection: psycopg.Connection[Any], run: int) -> FinishedRun:
    """Read a run with its report; NoReport with a sentence."""
    row = connection.execute(
        "SELECT layer, delivery, path, finished_at, report FROM catalog.run WHERE id = %s", [run]
    ).fetchone()
    if row is None:
        raise NoReport(f"没有批次 {run} (no such run)")
    layer, delivery, path, finished_at, report = row
    if not report or "status" not in report:
        raise NoReport(f"批次 {run} 还没有报告 (the run has no report yet)")
    known = None if path is None else Path(path)
    profile = load_city(report["city"])
    return FinishedRun(run, layer, delivery or "", known, finished_at, report, profile)


def write_page(connection: psycopg.Connection[Any], run: FinishedRun, target: Path) -> None:
    """The report as one HTML file."""
    backdrop = county_borders(connection, run.profile)
    target.write_text(render_html(run.report, backdrop), "utf-8")


def write_docx(connection: psycopg.Connection[Any], run: FinishedRun, target: Path) -> None:
    """The report as .docx."""
    write_document(run.report, target, county_borders(connection, run.profile))


def write_xlsx(connection: psycopg.Connection[Any], run: FinishedRun, target: Path) -> int:
    """The list of all findings; how many."""
    try:
        plane: DatumChain | None = _plane(connection, run)
    except NoPlaneGrid:
        plane = None
    return write_list(run.report, stored_findings(connection, run.id), target, plane)


def write_dxf(connection: psycopg.Connection[Any], run: FinishedRun, target: Path) -> Drawn:
    """The findings as marks in a drawing; NoPlaneGrid where there is no grid to draw in."""
    plane = _plane(connection, run)
    return write_drawing(run.report, stored_findings(connection, run.id), target, plane)


def _plane(connection: psycopg.Connection[Any], run: FinishedRun) -> DatumChain:
    registry = load_registry(connection)
    try:
        parameters = run.stated().datum_parameters
        if parameters is not None:
            registry = registry.merged(DatumRegistry.from_yaml(parameters))
    except (RejectsError, OSError, DatumError):
        pass  # the delivery is gone: what the city registered is what there is
    return plane_chain(run.report, registry, run.profile)


def write_rejected(
    connection: psycopg.Connection[Any],
    runs: Sequence[FinishedRun],
    target: Path,
    delivery: Path | None = None,
) -> Package:
    """The rejected rows of runs of one delivery, as a .zip that is a delivery again.

    Where `target` has the suffix of the only file of rejects, that file alone is written (not a
    Shapefile, which is several). RejectsError says why it cannot be done.
    """
    first = runs[0]
    stated = first.stated(delivery)
    before = None if delivery is not None else first.finished_at
    marks = marks_of_runs(connection, [run.id for run in runs])
    with tempfile.TemporaryDirectory(prefix="rejects-") as temporary:
        package = write_rejects(
            stated,
            marks,
            Path(temporary) / "rejects",
            layers=[run.layer for run in runs],
            name=f"{first.delivery}/退回-{first.id}",
            before=before,
        )
        only = package.files[0] if len(package.files) == 1 else None
        if target.suffix.lower() == ".zip":
            zip_folder(package.folder, target)
        elif only is not None and only.is_file() and only.suffix == target.suffix.lower() != ".shp":
            shutil.copyfile(only, target)
        else:
            written = "、".join(path.name for path in package.files)
            raise RejectsError(
                f"{target.name}: 退回的是 {written}，请写成 .zip "
                f"(the rejects are {written}; name a .zip)"
            )
    return package
