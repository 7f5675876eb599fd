"""HTTP operations of deliveries: state, form, answers, overview; all of them declared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import resources
from typing import Any

import yaml
from psycopg.rows import dict_row
from starlette.responses import Response

from etl.checks.rules import rule_book
from etl.delivery import DeliveryError, load_delivery, parse_delivery
from etl.report.words import coordsys_words
from etl.schedule import Standing, standings_async
from geoserver_py.deliveries import intake, store
from geoserver_py.deliveries.arrival import create
from geoserver_py.deliveries.asking import (
    json_answer,
    json_body,
    own_upload,
    require_deliverer,
)
from geoserver_py.deliveries.folders import UploadFolder, upload_folder
from geoserver_py.deliveries.form import choices, delivery_document, with_answers
from geoserver_py.deliveries.guard import (
    NotAllowed,
    check_delivery,
    deliverable,
    delivery_file,
)
from geoserver_py.deliveries.report_routes import (
    FORMS,
    run_rejects,
    run_report,
    upload_rejects,
    upload_report,
)
from geoserver_py.deliveries.store import UNDER_WAY, Upload
from geoserver_py.operations import Call, Operation, Parameter
from geoserver_py.problems import Problem, not_found
from layers.definition import Title, load_definitions

_OVERVIEW = (resources.files("geoserver_py.deliveries") / "overview.sql").read_text("utf-8")
_JSON = "application/json"
_FILLED = ("waiting", "blocked", "failed", "broken")
"""States in which the form may be filled in, or corrected."""
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
    {"type": "string", "enum": ["json", "html", *(f for f in FORMS if f != "zip")],
     "default": "json"},
    Title("格式", "Form of the report"),
)  # fmt: skip


async def _overview(call: Call) -> Response:
    bureau = require_deliverer(call)
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
    return json_answer(
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
    upload = await own_upload(call)
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
    return json_answer(body)


async def _state(call: Call) -> Response:
    """The filled form becomes the delivery file of the upload."""
    upload = await own_upload(call)
    if upload.state not in (*_FILLED, "refused"):
        raise _not_now(upload)
    registry = call.services.registry
    try:
        document = delivery_document(
            await json_body(call),
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
    upload = await own_upload(call)
    if upload.state not in ("blocked", "failed", "broken"):
        raise _not_now(upload)
    folder = _files(call, upload)
    try:
        path = delivery_file(folder.files)
        if path is None:
            raise not_found("交付文件", "delivery file")
        body = await json_body(call)
        given = body.get("answers") if isinstance(body, dict) else body
        document = with_answers(load_delivery(path).document, given)
    except (DeliveryError, NotAllowed) as wrong:
        raise _bad_statement(wrong) from wrong
    return await _start(call, upload, document)


async def _restart(call: Call) -> Response:
    """Begin again what failed or broke off, with what is stated."""
    upload = await own_upload(call)
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
    return json_answer({"id": upload.id, "state": "queued"}, 202)


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
    return json_answer({"id": upload.id, "state": "queued"}, 202)


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


_FILES = {200: ("成功 Success", {media: _ANY for media, _ in FORMS.values()})}
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
        _TAG, create, (_NAME, _BUREAU),
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
        _TAG, upload_report, (_ID, _RUN, _F), responses=_REPORTS,
    ),
    Operation(
        "GET", "/deliveries/{id:int}/rejects", "readDeliveryRejects",
        Title("退回的行", "Rejected rows as delivered, to correct and send again"),
        _TAG, upload_rejects, (_ID, _RUN), responses=_FILES,
    ),
    Operation(
        "GET", "/runs/{run:int}/report", "readRunReport",
        Title("批次报告", "Report of any run of the caller's bureau"),
        _TAG, run_report, (_RUN_ID, _F), responses=_REPORTS,
    ),
    Operation(
        "GET", "/runs/{run:int}/rejects", "readRunRejects",
        Title("批次退回的行", "Rejected rows of any run of the caller's bureau"),
        _TAG, run_rejects, (_RUN_ID,), responses=_FILES,
    ),
)  # fmt: skip
