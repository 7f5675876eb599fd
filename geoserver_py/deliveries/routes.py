"""HTTP operations of deliveries: upload, state, form, answers, report, rejects, overview."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import resources
from typing import Any
from urllib.parse import quote

import orjson
import yaml
from psycopg.rows import dict_row
from starlette.responses import FileResponse, Response

from etl.checks.rules import rule_book
from etl.delivery import DeliveryError, load_delivery, parse_delivery
from etl.report import render_html
from etl.report.words import coordsys_words
from etl.schedule import Standing, standings_async
from geoserver_py.deliveries import intake, store
from geoserver_py.deliveries.folders import UploadFolder, form_path, upload_folder
from geoserver_py.deliveries.form import choices, delivery_document, with_answers
from geoserver_py.deliveries.guard import (
    NotAllowed,
    check_delivery,
    deliverable,
    delivery_file,
)
from geoserver_py.deliveries.store import UNDER_WAY, Upload
from geoserver_py.deliveries.upkeep import room_of
from geoserver_py.operations import Call, Operation, Parameter, read_body
from geoserver_py.problems import Problem, invalid_parameter, not_found
from geoserver_py.security import KEY_HEADER
from layers.access import ANONYMOUS
from layers.definition import Title, load_definitions

_OVERVIEW = (resources.files("geoserver_py.deliveries") / "overview.sql").read_text("utf-8")
_JSON = "application/json"
_FORMS: Mapping[str, tuple[str, str]] = {
    "docx": (
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document", "交付报告",
    ),
    "xlsx": ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "问题清单"),
    "dxf": ("image/vnd.dxf", "问题位置"),
    "zip": ("application/zip", "退回记录"),
}  # fmt: skip
MOST_UNDER_WAY = 10
"""Uploads of a bureau that may be under way at a time: each holds a process and a connection."""
_FILLED = ("waiting", "blocked", "failed", "broken")
"""States in which the form may be filled in, or corrected."""
_REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_ANY = {"schema": {"type": "string", "format": "binary"}}
_OBJECT = {"schema": {"type": "object"}}

_NUMBER = {"type": "integer", "minimum": 1, "maximum": 2**31 - 1}
_ID = Parameter("id", _NUMBER, Title("上传号", "Number of the upload"), location="path")
_RUN_ID = Parameter("run", _NUMBER, Title("批次号", "Number of the run"), location="path")
_RUN = Parameter(
    "run",
    _NUMBER,
    Title("批次号；缺省为最近一批的第一个图层", "Number of the run; the first by default"),
)
_NAME = Parameter(
    "name",
    {"type": "string", "minLength": 1, "maxLength": 300},
    Title("文件名，如 管线.zip", "Name of the file"),
    required=True,
    example="2026-11.zip",
)
_BUREAU = Parameter(
    "bureau",
    {"type": "string", "minLength": 1, "maxLength": 100},
    Title("委办局，仅管理密钥可写", "Bureau; for administrators' keys only"),
)
_LIMIT = Parameter(
    "limit",
    {"type": "integer", "minimum": 1, "maximum": 1000, "default": 200},
    Title("条数", "Most entries of each list"),
)
_F = Parameter(
    "f",
    {"type": "string", "enum": ["json", "html", *(f for f in _FORMS if f != "zip")],
     "default": "json"},
    Title("格式", "Form of the report"),
)  # fmt: skip


def _require_deliverer(call: Call) -> str | None:
    """The bureau whose deliveries the caller sees; None for all. Problem 401 or 403."""
    principal = call.principal
    if principal == ANONYMOUS:
        raise Problem(
            401,
            "key-required",
            zh="交付需要密钥，请向地理信息中心申请。",
            en=f"(deliveries need a key in {KEY_HEADER}; ask the centre for one)",
            headers={"WWW-Authenticate": "Bearer"},
        )
    if not principal.delivers:
        raise Problem(
            403,
            "not-a-deliverer",
            zh="这个密钥不能交付。",
            en="(this key has no right to deliver; ask for one with --right deliver)",
        )
    return None if principal.is_admin else principal.bureau


async def _own_upload(call: Call) -> Upload:
    """The upload of the path; the same 404 for one that is absent and one of another bureau."""
    bureau = _require_deliverer(call)
    async with call.services.pools.reads() as connection:
        found = await store.upload_by_id(connection, call.arguments["id"])
    if found is None or (bureau is not None and found.bureau != bureau):
        raise not_found("这次上传", "no such upload;")
    return found


async def _create(call: Call) -> Response:
    bureau = _require_deliverer(call)
    stated = call.arguments["bureau"]
    if bureau is not None and stated not in (None, bureau):
        raise invalid_parameter("bureau", zh=f"密钥属于 {bureau}。", en="the key names the bureau")
    owner = bureau or stated or call.principal.bureau
    if owner is None:
        raise invalid_parameter(
            "bureau", zh="管理密钥上传时须写明委办局。", en="state whose delivery this is"
        )
    async with call.services.pools.reads() as connection:
        if await store.under_way(connection, owner) >= MOST_UNDER_WAY:
            raise Problem(
                429,
                "too-many-uploads",
                zh=f"已有 {MOST_UNDER_WAY} 次上传在处理，请等它们结束。",
                en=f"({MOST_UNDER_WAY} uploads of the bureau are under way; wait for them)",
                headers={"Retry-After": "60"},
            )
        numbers = await store.numbers_of_async(connection, owner)
    settings = call.services.settings
    room = await asyncio.to_thread(room_of, settings, numbers)
    name = intake.plain_name(call.arguments["name"])
    dsn = settings.dsn()
    number = await store.note_upload(dsn, name, owner, call.principal.name)
    folder = upload_folder(settings.upload_home, number)
    whole = False
    try:
        size = await intake.receive(call.request, folder.received, settings.upload_max_mb, room)
        await store.note_size(dsn, number, size)
        whole = True
    finally:
        if not whole:
            shutil.rmtree(folder.root, ignore_errors=True)
            await store.forget_upload(dsn, number)
    await intake.start_worker(settings, "prepare", number, folder.log)
    return _json({"id": number, "state": "received"}, 202, {"Location": f"deliveries/{number}"})


async def _overview(call: Call) -> Response:
    bureau = _require_deliverer(call)
    limit = call.arguments["limit"]
    async with call.services.pools.reads() as connection:
        uploads = await store.uploads_of(connection, bureau, limit)
        async with connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(_OVERVIEW, {"bureau": bureau, "limit": limit})
            runs = await cursor.fetchall()
        promised = [
            one for one in await standings_async(connection) if bureau in (None, one.bureau)
        ]
    deliveries = _with_promises(runs, promised)
    principal = call.principal
    return _json(
        {
            "bureau": principal.bureau,
            "key": principal.name,
            "admin": principal.is_admin,
            "layers": list(deliverable(principal, load_definitions(), call.services.settings.city)),
            "limit_mb": call.services.settings.upload_max_mb,
            "uploads": [_brief(upload) for upload in uploads],
            "deliveries": deliveries,
        }
    )


def _with_promises(
    runs: Sequence[Mapping[str, Any]], promised: Sequence[Standing]
) -> list[dict[str, Any]]:
    """The latest runs with what was promised; late ones first, and those that never came."""
    by_name = {one.delivery: one for one in promised}
    came = {run["delivery"] for run in runs}
    never: list[dict[str, Any]] = [
        {
            "run": None, "delivery": one.delivery, "layer": "、".join(one.layers),
            "layer_title": None, "bureau": one.bureau, "status": None, "reason": None,
            "started_at": None, "finished_at": None, "accuracy_m": None,
            "required_accuracy_m": None, "synthetic": one.synthetic, "counts": {}, "upload": None,
        }
        for one in promised
        if one.delivery not in came and one.late
    ]  # fmt: skip
    out = []
    for run in (*never, *runs):
        one = by_name.get(run["delivery"])
        out.append(
            {
                **run,
                "expected_every": None if one is None else one.expected_every,
                "cron": None if one is None else one.cron,
                "due_at": None if one is None else one.expected_by,
                "late": one is not None and one.late,
            }
        )
    return sorted(out, key=lambda row: not row["late"])


def _brief(upload: Upload) -> dict[str, Any]:
    return {
        "id": upload.id, "name": upload.name, "bureau": upload.bureau, "state": upload.state,
        "message": upload.message, "size_bytes": upload.size_bytes, "delivery": upload.delivery,
        "runs": list(upload.runs), "progress": upload.progress,
        "created_at": upload.created_at, "updated_at": upload.updated_at,
    }  # fmt: skip


async def _read(call: Call) -> Response:
    upload = await _own_upload(call)
    body = _brief(upload)
    if upload.state in _FILLED and upload.inspection is not None:
        known = load_definitions()
        named = deliverable(call.principal, known, call.services.settings.city)
        body["inspection"] = upload.inspection
        body["choices"] = choices(
            [known[name] for name in named], call.services.profile, call.services.registry
        )
    if upload.runs:
        async with call.services.pools.reads() as connection:
            found = await connection.execute(
                "SELECT report FROM catalog.run WHERE id = ANY (%s) AND report ? 'status'"
                " ORDER BY id",
                [list(upload.runs)],
            )
            reports = [row[0] for row in await found.fetchall()]
        body["reports"] = reports
        body["rules"] = rule_book({rule: None for one in reports for rule in one["rules"]})
        stated = {file.get("coordsys") for one in reports for file in one["files"]} - {None}
        body["coordsys"] = {name: coordsys_words(name) for name in stated}
    return _json(body)


async def _state(call: Call) -> Response:
    """The filled form becomes the delivery file of the upload."""
    upload = await _own_upload(call)
    if upload.state not in (*_FILLED, "refused"):
        raise _not_now(upload)
    registry = call.services.registry
    try:
        document = delivery_document(
            await _body(call),
            upload=upload.id,
            bureau=upload.bureau,
            city=call.services.settings.city,
            registry=registry,
            today=datetime.now(UTC).date(),
        )
    except DeliveryError as wrong:
        raise _bad_statement(wrong) from wrong
    return await _start(call, upload, document)


async def _answer(call: Call) -> Response:
    upload = await _own_upload(call)
    if upload.state not in ("blocked", "failed", "broken"):
        raise _not_now(upload)
    folder = _files(call, upload)
    try:
        path = delivery_file(folder.files)
        if path is None:
            raise not_found("交付文件", "delivery file;")
        body = await _body(call)
        given = body.get("answers") if isinstance(body, dict) else body
        document = with_answers(load_delivery(path).document, given)
    except (DeliveryError, NotAllowed) as wrong:
        raise _bad_statement(wrong) from wrong
    return await _start(call, upload, document)


async def _restart(call: Call) -> Response:
    """Begin again what failed or broke off, with what is stated."""
    upload = await _own_upload(call)
    if upload.state not in ("failed", "broken"):
        raise _not_now(upload)
    settings = call.services.settings
    folder = _files(call, upload)
    try:
        path = delivery_file(folder.files)
        if path is not None and not folder.received.exists():
            return await _start(call, upload, load_delivery(path).document)
    except (DeliveryError, NotAllowed) as wrong:
        raise _bad_statement(wrong) from wrong
    if not await store.queue_upload(settings.dsn(), upload):
        raise _not_now(upload)
    await intake.start_worker(settings, "prepare", upload.id, folder.log)
    return _json({"id": upload.id, "state": "queued"}, 202)


async def _start(call: Call, upload: Upload, document: Mapping[str, Any]) -> Response:
    """Write the delivery file and run it, if it states what it may."""
    settings = call.services.settings
    folder = _files(call, upload)
    try:
        path = delivery_file(folder.files) or folder.files / "delivery.yaml"
        delivery = parse_delivery(document, path)
        check_delivery(delivery, folder.files, call.principal, load_definitions(), settings.city)
    except (DeliveryError, NotAllowed) as wrong:
        raise _bad_statement(wrong) from wrong
    if not await store.queue_upload(settings.dsn(), upload):
        raise _not_now(upload)
    path.write_text(yaml.safe_dump(dict(document), allow_unicode=True, sort_keys=False), "utf-8")
    await intake.start_worker(settings, "run", upload.id, folder.log)
    return _json({"id": upload.id, "state": "queued"}, 202)


def _files(call: Call, upload: Upload) -> UploadFolder:
    """The folder of an upload; Problem 410 once its files were removed."""
    folder = upload_folder(call.services.settings.upload_home, upload.id)
    if not folder.root.is_dir():
        raise Problem(
            410, "files-removed", zh="这次上传的文件已按期清除，请重新上传。",
            en="(the files of this upload were removed for their age; upload them again)",
        )  # fmt: skip
    return folder


def _bad_statement(wrong: Exception) -> Problem:
    return Problem(
        400, "bad-delivery", zh="交付说明有误：", en=" ".join(str(wrong).split()).partition("\n")[0]
    )


def _not_now(upload: Upload) -> Problem:
    working = upload.state in UNDER_WAY
    return Problem(
        409,
        "wrong-state",
        zh="正在处理，请等它结束。" if working else "这次上传已不能更改，请重新上传。",
        en=f"(the upload is {upload.state})",
    )


async def _body(call: Call) -> Any:
    raw = await read_body(call.request)
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as bad:
        raise Problem(
            400, "bad-json", zh="请求体须为 JSON。", en="(the body must be JSON)"
        ) from bad


async def _upload_report(call: Call) -> Response:
    upload = await _own_upload(call)
    return await _report_of(call, _chosen_run(call, upload), call.arguments["f"])


async def _upload_rejects(call: Call) -> Response:
    upload = await _own_upload(call)
    run = call.arguments["run"]
    if run is not None:
        return await _made(call, _chosen_run(call, upload), "zip")
    reports = await _reports(call, upload.runs)
    for number, report in reports.items():
        if report.get("counts", {}).get("rejected"):
            return await _made(call, number, "zip")
    raise not_found("被退回的行", "no rejected rows;")


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
        raise not_found("报告", "no report of such a run;")
    return int(run)


async def _own_run(call: Call) -> int:
    bureau = _require_deliverer(call)
    run = call.arguments["run"]
    async with call.services.pools.reads() as connection:
        found = await connection.execute("SELECT bureau FROM catalog.run WHERE id = %s", [run])
        row = await found.fetchone()
    if row is None or (bureau is not None and row[0] != bureau):
        raise not_found("这个批次", "no such run;")
    return int(run)


async def _run_report(call: Call) -> Response:
    return await _report_of(call, await _own_run(call), call.arguments["f"])


async def _run_rejects(call: Call) -> Response:
    return await _made(call, await _own_run(call), "zip")


async def _report_of(call: Call, run: int, form: str) -> Response:
    if form in _FORMS:
        return await _made(call, run, form)
    report = (await _reports(call, [run])).get(run)
    if report is None:
        raise not_found("报告", "no report yet;")
    if form == "html":
        return Response(
            render_html(report),
            media_type="text/html; charset=utf-8",
            headers={"Content-Security-Policy": _REPORT_POLICY},
        )
    return _json(report)


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
    media_type, title = _FORMS[form]
    name = quote(f"{title}-{run}.{form}")
    return FileResponse(
        path,
        media_type=media_type,
        headers={"Content-Disposition": f"attachment; filename*=UTF-8''{name}"},
    )


def _json(document: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(orjson.dumps(document), status, headers, _JSON)


_FILES = {200: ("成功 Success", {media: _ANY for media, _ in _FORMS.values()})}
_REPORTS = {
    200: (
        "报告 The report",
        {_JSON: _OBJECT, "text/html": {"schema": {"type": "string"}}, **_FILES[200][1]},
    )
}
_ACCEPTED = {202: ("已接收 Accepted", {_JSON: _OBJECT})}
_JSON_BODY = {"required": True, "content": {_JSON: {"schema": {}}}}
_TAG = "deliveries"

OPERATIONS = (
    Operation(
        "POST", "/deliveries", "uploadDelivery",
        Title("上传交付", "Upload a delivery: a zip (files, perhaps a delivery.yaml) or one file"),
        _TAG, _create, (_NAME, _BUREAU),
        request_body={"required": True, "content": {"application/octet-stream": _ANY}},
        responses=_ACCEPTED,
    ),
    Operation(
        "GET", "/deliveries", "listDeliveries",
        Title("交付一览", "Uploads, and the latest run of every delivery: late, changes, accuracy"),
        _TAG, _overview, (_LIMIT,),
    ),
    Operation(
        "GET", "/deliveries/{id:int}", "readDelivery",
        Title("一次上传", "State of an upload, its form where one is to be filled, its reports"),
        _TAG, _read, (_ID,),
    ),
    Operation(
        "POST", "/deliveries/{id:int}/statement", "stateDelivery",
        Title("填写交付说明", "Say which file goes into which layer, in which coordsys; run it"),
        _TAG, _state, (_ID,), request_body=_JSON_BODY, responses=_ACCEPTED,
    ),
    Operation(
        "POST", "/deliveries/{id:int}/answers", "answerDelivery",
        Title("答复异议", "Answer objections with a reason, which is recorded; run it again"),
        _TAG, _answer, (_ID,), request_body=_JSON_BODY, responses=_ACCEPTED,
    ),
    Operation(
        "POST", "/deliveries/{id:int}/restart", "restartDelivery",
        Title("重新开始", "Begin an upload again that failed, ran out of its time or broke off"),
        _TAG, _restart, (_ID,), responses=_ACCEPTED,
    ),
    Operation(
        "GET", "/deliveries/{id:int}/report", "readDeliveryReport",
        Title("交付报告", "Report of a run of an upload"),
        _TAG, _upload_report, (_ID, _RUN, _F), responses=_REPORTS,
    ),
    Operation(
        "GET", "/deliveries/{id:int}/rejects", "readDeliveryRejects",
        Title("退回的行", "Rejected rows as delivered, to correct and send again"),
        _TAG, _upload_rejects, (_ID, _RUN), responses=_FILES,
    ),
    Operation(
        "GET", "/runs/{run:int}/report", "readRunReport",
        Title("批次报告", "Report of any run of the caller's bureau"),
        _TAG, _run_report, (_RUN_ID, _F), responses=_REPORTS,
    ),
    Operation(
        "GET", "/runs/{run:int}/rejects", "readRunRejects",
        Title("批次退回的行", "Rejected rows of any run of the caller's bureau"),
        _TAG, _run_rejects, (_RUN_ID,), responses=_FILES,
    ),
)  # fmt: skip
