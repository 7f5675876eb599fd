"""HTTP handlers of reports: as JSON and page at once, other forms by a process of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from starlette.responses import FileResponse, Response

from etl.report import render_html
from geoserver_py.deliveries import intake
from geoserver_py.deliveries.asking import json_answer, own_run, own_upload
from geoserver_py.deliveries.folders import form_path
from geoserver_py.deliveries.store import Upload
from geoserver_py.operations import Call
from geoserver_py.problems import Problem, not_found

FORMS: Mapping[str, tuple[str, str]] = {
    "docx": (
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document", "交付报告",
    ),
    "xlsx": ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "问题清单"),
    "dxf": ("image/vnd.dxf", "问题位置"),
    "zip": ("application/zip", "退回记录"),
}  # fmt: skip
_REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


async def upload_report(call: Call) -> Response:
    """Report of a run of an upload."""
    upload = await own_upload(call)
    return await _report_of(call, _chosen_run(call, upload), call.arguments["f"])


async def upload_rejects(call: Call) -> Response:
    """Rejected rows of a run of an upload; the first that has any by default."""
    upload = await own_upload(call)
    run = call.arguments["run"]
    if run is not None:
        return await _made(call, _chosen_run(call, upload), "zip")
    reports = await _reports(call, upload.runs)
    for number, report in reports.items():
        if report.get("counts", {}).get("rejected"):
            return await _made(call, number, "zip")
    raise not_found("被退回的行", "rejected rows")


async def _reports(call: Call, runs: Any) -> dict[int, Mapping[str, Any]]:
    async with call.services.pools.reads() as connection:
        found = await connection.execute(
            "SELECT id, report FROM catalog.run WHERE id = ANY (%s) AND report ? 'status'"
            " ORDER BY id",
            [list(runs)],
        )
        return {int(number): report for number, report in await found.fetchall()}


def _chosen_run(call: Call, upload: Upload) -> int:
    run = call.arguments["run"]
    if run is None and upload.runs:
        return upload.runs[0]
    if run is None or run not in upload.runs:
        raise not_found("报告", "report of such a run")
    return int(run)


async def run_report(call: Call) -> Response:
    """Report of any run of the caller's bureau."""
    return await _report_of(call, await own_run(call), call.arguments["f"])


async def run_rejects(call: Call) -> Response:
    """Rejected rows of any run of the caller's bureau."""
    return await _made(call, await own_run(call), "zip")


async def _report_of(call: Call, run: int, form: str) -> Response:
    if form in FORMS:
        return await _made(call, run, form)
    report = (await _reports(call, [run])).get(run)
    if report is None:
        raise not_found("报告", "report")
    if form == "html":
        return Response(
            render_html(report),
            media_type="text/html; charset=utf-8",
            headers={"Content-Security-Policy": _REPORT_POLICY},
        )
    return json_answer(report)


async def _made(call: Call, run: int, form: str) -> Response:
    """A form of a run's report as a file, made by a process of its own when first asked for."""
    settings = call.services.settings
    path = form_path(settings.upload_home, run, form)
    if not path.is_file():
        code, said = await intake.make_form(settings, run, form)
        if code != 0 or not path.is_file():
            raise Problem(
                404 if said else 503,
                "no-such-form",
                zh=said or "暂时不能生成，请稍后重试。",
                en="" if said else "(it cannot be made now; retry later)",
                headers=None if said else {"Retry-After": "30"},
            )
    media_type, title = FORMS[form]
    name = quote(f"{title}-{run}.{form}")
    return FileResponse(
        path,
        media_type=media_type,
        headers={"Content-Disposition": f"attachment; filename*=UTF-8''{name}"},
    )
