"""HTTP of jobs: start geocode-batch, list, look, fetch results, dismiss; to each key its own."""

from __future__ import annotations

import asyncio
import base64
import binascii
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
from starlette.responses import FileResponse, Response

from etl.datum import DatumError
from geoserver_py.deliveries import intake
from geoserver_py.deliveries.upkeep import Room, used_bytes
from geoserver_py.jobs import store
from geoserver_py.jobs.documents import EXCEPTIONS, PROCESS, status_info
from geoserver_py.jobs.store import Job, job_folder
from geoserver_py.links import base_url, link
from geoserver_py.operations import Call, Operation, Parameter, read_body
from geoserver_py.problems import Problem, invalid_parameter, json_fault
from geoserver_py.representations import HTML, render_page, wants_html
from geoserver_py.security import KEY_HEADER
from geoserver_py.settings import Settings
from geoserver_py.tables import CSV_TYPE, XLSX_TYPE
from layers.access import ANONYMOUS
from layers.definition import Title

MOST_UNDER_WAY = 3
"""Jobs of a key that may be under way at a time."""
MAX_INLINE_BYTES = 32 * 1024 * 1024
"""Most bytes of a request whose table is inside its JSON; a larger one is sent as the body."""
_JSON = "application/json"
_TYPES = {CSV_TYPE: "csv", XLSX_TYPE: "xlsx"}

_ID = Parameter(
    "jobId",
    {"type": "string", "pattern": "^[0-9]{1,18}$", "maxLength": 18},
    Title("作业号", "Identifier of the job"),
    location="path",
)
_OUTPUT = Parameter(
    "output",
    {"type": "string", "enum": ["table"]},
    Title("输出", "Identifier of the output"),
    location="path",
)
_LIMIT = Parameter(
    "limit",
    {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100},
    Title("最多几个作业", "Most jobs to list"),
)
_COLUMN = Parameter(
    "column",
    {"type": "string", "maxLength": 100},
    Title("地址列，表作为请求体时", "Column of addresses, where the body is the table"),
)
_COORDSYS = Parameter(
    "coordsys_out",
    {"type": "string", "maxLength": 60, "default": "cgcs2000"},
    Title("输出坐标系，表作为请求体时", "Coordsys of the answer, where the body is the table"),
)
_FORMAT = Parameter(
    "f", {"type": "string", "enum": ["json", "html"]}, Title("格式；缺省依 Accept", "Format")
)


def _key_of(call: Call) -> str:
    """The name of the caller's key; Problem 401 without one."""
    if call.principal == ANONYMOUS:
        raise Problem(
            401,
            "key-required",
            zh="作业需要密钥：谁提交，谁取结果。十万行以内可用 POST /geocode/batch，即时作答。",
            en=f"(jobs need a key in {KEY_HEADER}: they belong to it; up to 100 000 rows"
            " POST /geocode/batch answers at once)",
            headers={"WWW-Authenticate": "Bearer"},
        )
    return call.principal.name


async def _own(call: Call) -> Job:
    key = _key_of(call)
    async with call.services.pools.reads() as connection:
        job = await store.job_of(connection, key, int(call.arguments["jobId"]))
    if job is None:
        raise _refusal(404, "no-such-job", "没有这个作业。", "(no such job)")
    return job


def _refusal(status: int, code: str, zh: str, en: str) -> Problem:
    """A problem whose type is that of the standard, where it has one."""
    problem = Problem(status, code, zh=zh, en=en)
    problem.type = EXCEPTIONS.get(code, problem.type)
    return problem


async def _execute(call: Call) -> Response:
    key, settings = _key_of(call), call.services.settings
    media = call.request.headers.get("content-type", "").partition(";")[0].strip().lower()
    content: bytes | None = None
    inputs: dict[str, Any] = {n: call.arguments[n] for n in ("column", "coordsys_out")}
    if media not in _TYPES:
        content, media, inputs = _stated(await read_body(call.request, MAX_INLINE_BYTES))
    _check(call, inputs)
    async with call.services.pools.reads() as connection:
        numbers = await store.numbers_of(connection, key)
    used = await asyncio.to_thread(used_bytes, settings.job_home, numbers)
    room = Room(used, settings.upload_quota_mb * 2**20, settings.job_keep_days)
    dsn = settings.dsn()
    number = await store.open_job(dsn, PROCESS, key, inputs, media, MOST_UNDER_WAY)
    if number is None:
        raise Problem(
            429,
            "too-many-jobs",
            zh=f"已有 {MOST_UNDER_WAY} 个作业在处理，请等它们结束，或取消其中之一。",
            en=f"({MOST_UNDER_WAY} jobs of this key are under way; wait, or dismiss one)",
            headers={"Retry-After": "60"},
        )
    folder = job_folder(settings.job_home, number)
    whole = False
    try:
        if content is None:
            await intake.receive(call.request, folder.received, settings.job_max_mb, room)
        else:
            folder.root.mkdir(parents=True, exist_ok=True)
            await asyncio.to_thread(folder.received.write_bytes, content)
        await store.accept(dsn, number)
        whole = True
    finally:
        if not whole:
            shutil.rmtree(folder.root, ignore_errors=True)
            await store.forget(dsn, number)
    await _start(settings, number, folder.log)
    async with call.services.pools.reads() as connection:
        job = await store.job_of(connection, key, number)
    if job is None:  # dismissed and swept meanwhile, by a second client with the key
        raise _refusal(404, "no-such-job", "没有这个作业。", "(no such job)")
    headers = {
        "Location": f"{base_url(call)}/jobs/{number}", "Preference-Applied": "respond-async",
    }  # fmt: skip
    return Response(orjson.dumps(status_info(job, base_url(call))), 201, headers, media_type=_JSON)


def _stated(body: bytes) -> tuple[bytes, str, dict[str, Any]]:
    """Table, media type and further inputs of an execute request; Problem 400 or 413."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as bad:
        zh, en = json_fault(bad)
        raise _bad_input(
            f"请求体须为 JSON、CSV 或 xlsx；{zh}。", f"JSON, CSV or xlsx; it is {en}"
        ) from bad
    inputs = document.get("inputs") if isinstance(document, Mapping) else None
    if not isinstance(inputs, Mapping):
        raise _bad_input('请求体须为 {"inputs": {"table": …}}。', "an object with inputs")
    if document.get("response", "raw") not in ("raw", "document"):
        raise _bad_input("response 须为 raw 或 document。", "response: raw or document")
    unknown = sorted(set(inputs) - {"table", "column", "coordsys_out"})
    if unknown:
        raise _bad_input(f"未知输入 {unknown[0][:80]}。", "inputs: table, column, coordsys_out")
    content, media = _table(inputs.get("table"))
    further: dict[str, Any] = {}
    for name, default in (("column", None), ("coordsys_out", "cgcs2000")):
        value = inputs.get(name, default)
        if value is not None and not (isinstance(value, str) and 1 <= len(value) <= 100):
            raise _bad_input(f"{name} 须为文本。", f"{name}: a text")
        further[name] = value
    return content, media, further


def _table(given: Any) -> tuple[bytes, str]:
    """The table of an input value: text, or a qualified value with mediaType and encoding."""
    media, encoding, value = CSV_TYPE, "", given
    if isinstance(given, Mapping):
        if "href" in given:
            raise _bad_input("不取外部地址，请把表直接送来。", "no href: send the table itself")
        media = str(given.get("mediaType") or CSV_TYPE).partition(";")[0].strip().lower()
        encoding, value = str(given.get("encoding") or ""), given.get("value")
    if media not in _TYPES or not isinstance(value, str) or not value:
        raise _bad_input(
            f"table 须为 CSV 文本，或 {{value, mediaType, encoding: base64}}（{XLSX_TYPE}）。",
            "table: the text of a CSV, or a qualified value in base64",
        )
    if encoding != "base64" and media == CSV_TYPE:
        return value.encode("utf-8", "replace"), media
    try:
        return base64.b64decode(value, validate=True), media
    except (binascii.Error, ValueError) as bad:
        raise _bad_input("table 不是 base64。", "table is not base64") from bad


def _check(call: Call, inputs: Mapping[str, Any]) -> None:
    services = call.services
    try:
        services.registry.chain("cgcs2000", services.registry.parse(inputs["coordsys_out"]))
    except DatumError as unknown:
        accepted = (*services.profile.accepted_coordsys, *services.registry.grids)
        raise invalid_parameter(
            "coordsys_out", zh=str(unknown), en="not available", accepted=accepted
        ) from unknown


def _bad_input(zh: str, en: str) -> Problem:
    return Problem(400, "invalid-request", zh=zh, en=f"({en})", parameter="inputs")


async def _start(settings: Settings, job: int, log: Path) -> None:
    """Start the process of a job; returns as soon as it is on its own."""
    with log.open("ab") as said:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "geoserver_py.jobs.worker", str(job),
            stdin=asyncio.subprocess.DEVNULL, stdout=said, stderr=said,
            env={
                **os.environ,
                "GEOSERVER_PY_DATABASE_URL": settings.dsn(),
                "GEOSERVER_PY_DATA_DIR": str(settings.data_dir.absolute()),
                "GEOSERVER_PY_JOB_DIR": str(settings.job_home),
                "GEOSERVER_PY_JOB_RUN_SECONDS": str(settings.job_run_seconds),
                "GEOSERVER_PY_CITY": settings.city,
            },
        )  # fmt: skip
        await process.wait()  # it forks and leaves at once


async def _jobs(call: Call) -> Response:
    root = base_url(call)
    jobs: list[Job] = []
    if call.principal != ANONYMOUS:  # who has no key has no jobs
        async with call.services.pools.reads() as connection:
            jobs = await store.jobs_of(connection, call.principal.name, call.arguments["limit"])
    body = {
        "jobs": [status_info(job, root) for job in jobs],
        "links": [link(f"{root}/jobs", "self", _JSON)],
    }
    if wants_html(call):
        page = render_page("jobs.html", root, document=body, profile=call.services.profile)
        return Response(page, media_type=HTML)
    return Response(orjson.dumps(body), media_type=_JSON)


async def _status(call: Call) -> Response:
    document = status_info(await _own(call), base_url(call))
    return Response(orjson.dumps(document), media_type=_JSON)


def _require_result(job: Job) -> None:
    if job.state == "successful":
        return
    if job.state == "failed":
        raise _refusal(400, "job-failed", f"作业失败：{job.message}", "(the job failed)")
    if job.state == "dismissed":
        raise _refusal(410, "job-dismissed", "作业已取消，结果已删除。", "(the job was dismissed)")
    raise _refusal(
        404, "result-not-ready", "作业尚未完成，请看 /jobs/{jobId}。", "(the job is not done yet)"
    )


async def _results(call: Call) -> Response:
    job = await _own(call)
    _require_result(job)
    href = f"{base_url(call)}/jobs/{job.id}/results/table"
    body = {"table": {"href": href, "type": job.media_type}}
    return Response(orjson.dumps(body), media_type=_JSON)


async def _output(call: Call) -> Response:
    job = await _own(call)
    _require_result(job)
    result = job_folder(call.services.settings.job_home, job.id).result
    if not result.is_file():
        raise _refusal(410, "job-dismissed", "结果已按期清除。", "(the result was removed)")
    suffix = _TYPES[job.media_type]
    return FileResponse(result, media_type=job.media_type, filename=f"matched-{job.id}.{suffix}")


async def _dismiss(call: Call) -> Response:
    job, settings = await _own(call), call.services.settings
    if not await store.dismiss(settings.dsn(), job.id):
        raise _refusal(410, "job-dismissed", "作业此前已取消。", "(dismissed before)")
    # a process that still writes finds out within a second, and what it writes has no name
    await asyncio.to_thread(shutil.rmtree, job_folder(settings.job_home, job.id).root, True)
    return await _status(call)


def _get(path: str, name: str, zh: str, en: str, handler: Any, *own: Parameter) -> Operation:
    return Operation(
        method="GET", path=path, operation_id=name, summary=Title(zh, en), tag="processes",
        handler=handler, parameters=own,
    )  # fmt: skip


_BINARY = {"schema": {"type": "string", "format": "binary"}}
OPERATIONS = (
    Operation(
        method="POST",
        path=f"/processes/{PROCESS}/execution",
        operation_id="executeGeocodeBatch",
        summary=Title("批量地址匹配作业", "Match a large table of addresses, as a job"),
        tag="processes",
        handler=_execute,
        parameters=(_COLUMN, _COORDSYS),
        request_body={
            "required": True,
            "content": {
                _JSON: {
                    "schema": {
                        "type": "object",
                        "required": ["inputs"],
                        "properties": {"inputs": {"type": "object", "required": ["table"]}},
                    },
                    "example": {"inputs": {"table": "id,地址\r\n7,梅江区嘉应中路12号\r\n"}},
                },
                CSV_TYPE: {"schema": {"type": "string"}},
                XLSX_TYPE: _BINARY,
            },
        },
        responses={
            201: ("作业已接受 The job was accepted", {_JSON: {"schema": {"type": "object"}}})
        },
    ),
    Operation(
        method="GET",
        path="/jobs",
        operation_id="getJobs",
        summary=Title("作业", "Jobs of the key"),
        tag="processes",
        handler=_jobs,
        parameters=(_LIMIT, _FORMAT),
        responses={
            200: (
                "成功 Success",
                {
                    _JSON: {"schema": {"type": "object"}},
                    "text/html": {"schema": {"type": "string"}},
                },
            )
        },
    ),
    _get("/jobs/{jobId}", "getStatus", "作业状态", "Status of a job", _status, _ID),
    Operation(
        method="DELETE",
        path="/jobs/{jobId}",
        operation_id="dismiss",
        summary=Title("取消作业或删除结果", "Dismiss a job, or give up its results"),
        tag="processes",
        handler=_dismiss,
        parameters=(_ID,),
    ),
    _get("/jobs/{jobId}/results", "getResult", "作业结果", "Results of a job", _results, _ID),
    Operation(
        method="GET",
        path="/jobs/{jobId}/results/{output}",
        operation_id="getOutput",
        summary=Title("作业结果：表", "One result of a job: the table"),
        tag="processes",
        handler=_output,
        parameters=(_ID, _OUTPUT),
        responses={200: ("表 The table", {CSV_TYPE: _BINARY, XLSX_TYPE: _BINARY})},
    ),
)
