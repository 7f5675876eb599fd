"""The life of a standard address: draft, review, publish, retire, each step kept.

A case proposes to create, change or retire one address. Publishing writes the address layer through
the one write function, so the replaced version is in its history, and gives or ends the codes in
the same transaction. Who wrote a case may not approve it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

import psycopg
import shapely
from psycopg.types.json import Jsonb

from gazetteer.numbers import house_number
from gazetteer.production.assign import assign, retire_codes
from gazetteer.production.codes import AddressCoder
from layers.access import Principal
from layers.definition import LayerDefinition
from layers.edit import UNCHANGED, Change, Operation, Unchanged, write_changes


class CycleError(ValueError):
    """A step that cannot be taken; nothing was changed. The message says why."""


class Stage(StrEnum):
    """Where a case stands."""

    DRAFT = "draft"
    REVIEW = "review"
    PUBLISHED = "published"
    WITHDRAWN = "withdrawn"

    @property
    def standard(self) -> str:
        """The stage of the address in the words of GB/T 35639-2017."""
        return {"draft": "规划", "review": "规划", "published": "现行", "withdrawn": "拒绝"}[
            self.value
        ]


class Task(StrEnum):
    """What a case asks for."""

    CREATE = "create"
    CHANGE = "change"
    RETIRE = "retire"


_NEXT = {
    ("submit", Stage.DRAFT): Stage.REVIEW,
    ("return", Stage.REVIEW): Stage.DRAFT,
    ("withdraw", Stage.DRAFT): Stage.WITHDRAWN,
    ("withdraw", Stage.REVIEW): Stage.WITHDRAWN,
    ("approve", Stage.REVIEW): Stage.PUBLISHED,
}


@dataclass(frozen=True)
class Case:
    """A case as it stands; ``lon``, ``lat`` are CGCS2000 degrees, None: position unchanged."""

    id: int
    address: str
    task: Task
    stage: Stage
    properties: Mapping[str, Any]
    author: str
    lon: float | None = None
    lat: float | None = None
    reviewer: str | None = None
    layer_revision: int | None = None
    history: tuple[tuple[datetime, str, str, str], ...] = field(default=())
    """(at, stage, actor, note), oldest first."""


def draft(
    connection: psycopg.Connection[Any],
    definition: LayerDefinition,
    *,
    task: Task,
    address: str,
    author: str,
    properties: Mapping[str, Any] | None = None,
    position: tuple[float, float] | None = None,
    note: str = "",
) -> Case:
    """Open a case; the caller commits.

    Raises CycleError for an unknown field, a case of the address that is still open, an address
    that exists already (create) or does not (change, retire).
    """
    values = dict(properties or {})
    unknown = sorted(set(values) - set(definition.field_names))
    if unknown:
        raise CycleError(
            f"没有字段 no such fields {unknown}; 可用 known: {list(definition.field_names)}"
        )
    exists = _row(connection, address) is not None
    if exists == (task is Task.CREATE):
        raise CycleError(
            f"{address}: {'地址已存在 exists already' if exists else '没有此地址 no such address'}"
        )
    if task is Task.CREATE and position is None:
        raise CycleError(f"{address}: 新地址须有位置 a new address needs a position")
    try:
        with connection.transaction():
            row = connection.execute(
                "INSERT INTO gazetteer.address_case (address, operation, properties, geom, author)"
                " VALUES (%s, %s, %s, ST_SetSRID(ST_MakePoint(%s, %s), 4490), %s) RETURNING id",
                [address, task.value, Jsonb(values), *(position or (None, None)), author],
            ).fetchone()
    except psycopg.errors.UniqueViolation as still_open:
        raise CycleError(f"{address}: 已有未结的申请 a case of it is still open") from still_open
    assert row is not None
    _record(connection, row[0], Stage.DRAFT, author, note)
    return load(connection, row[0])


def submit(connection: psycopg.Connection[Any], case_id: int, actor: str) -> Case:
    """From draft to review; CycleError names all that its content lacks."""
    case = _locked(connection, case_id)
    stage = _next("submit", case)
    problems = list(content_problems(connection, case))
    if problems:
        raise CycleError(f"{case.address}: {'；'.join(problems)}")
    return _moved(connection, case, stage, actor)


def send_back(connection: psycopg.Connection[Any], case_id: int, actor: str, note: str) -> Case:
    """From review back to draft, with what is to be put right."""
    case = _locked(connection, case_id)
    return _moved(connection, case, _next("return", case), actor, note)


def withdraw(connection: psycopg.Connection[Any], case_id: int, actor: str, note: str) -> Case:
    """End a case without effect."""
    case = _locked(connection, case_id)
    return _moved(connection, case, _next("withdraw", case), actor, note)


def approve(
    connection: psycopg.Connection[Any],
    definition: LayerDefinition,
    coders: Iterable[AddressCoder],
    case_id: int,
    actor: str,
    principal: Principal,
) -> Case:
    """From review to published: the layer is written and codes are given or ended.

    Raises CycleError where the reviewer is the author, or the content no longer fits the layer.
    """
    case = _locked(connection, case_id)
    stage = _next("approve", case)
    if actor == case.author:
        raise CycleError(f"{case.address}: 审核人不得是拟稿人 the author may not approve")
    problems = list(content_problems(connection, case))
    if problems:
        raise CycleError(f"{case.address}: {'；'.join(problems)}")
    operation = {
        Task.CREATE: Operation.INSERT,
        Task.CHANGE: Operation.UPDATE,
        Task.RETIRE: Operation.DELETE,
    }[case.task]
    change = Change(operation, case.address, case.properties, _wkb(case))
    with connection.transaction():
        if case.task is not Task.CREATE:
            retire_codes(connection, case.address)  # gone, or its parts or its spot are others
        result = write_changes(connection, definition, [change], principal=principal)
        if case.task is not Task.RETIRE:
            refused = assign(connection, coders, [case.address]).refused
            if refused:
                raise CycleError(f"{case.address}: {refused[0].reason}")
        connection.execute(
            "UPDATE gazetteer.address_case SET reviewer = %s, layer_revision = %s WHERE id = %s",
            [actor, result.revision, case.id],
        )
        return _moved(connection, case, stage, actor)


def load(connection: psycopg.Connection[Any], case_id: int) -> Case:
    """A case with its history; CycleError where there is none."""
    found = cases(connection, case_id=case_id)
    if not found:
        raise CycleError(f"没有申请 no such case: {case_id}")
    return found[0]


def cases(
    connection: psycopg.Connection[Any], *, stage: Stage | None = None, case_id: int | None = None
) -> list[Case]:
    """Cases with their history, oldest first."""
    rows = connection.execute(
        "SELECT id, address, operation, stage, properties, author, ST_X(geom), ST_Y(geom),"
        " reviewer, layer_revision, ARRAY(SELECT jsonb_build_array(at, s.stage, actor, note)"
        "   FROM gazetteer.address_stage AS s WHERE address_case = c.id ORDER BY at)"
        " FROM gazetteer.address_case AS c"
        " WHERE (%(stage)s::text IS NULL OR stage = %(stage)s)"
        "   AND (%(id)s::bigint IS NULL OR id = %(id)s) ORDER BY id",
        {"stage": stage, "id": case_id},
    ).fetchall()
    return [
        Case(
            id=row[0],
            address=row[1],
            task=Task(row[2]),
            stage=Stage(row[3]),
            properties=row[4],
            author=row[5],
            lon=row[6],
            lat=row[7],
            reviewer=row[8],
            layer_revision=row[9],
            history=tuple((datetime.fromisoformat(at), *rest) for at, *rest in row[10]),
        )
        for row in rows
    ]


def content_problems(connection: psycopg.Connection[Any], case: Case) -> Iterable[str]:
    """What the address that the case leads to would lack or contradict, a sentence each."""
    if case.task is Task.RETIRE:
        return
    row = {**(_row(connection, case.address) or {}), **case.properties}
    if not row.get("full_address"):
        yield "缺标准地址 full_address is missing"
    if not (row.get("road") or row.get("estate")):
        yield "缺街路巷或小区 road or estate is missing"
    number = row.get("number")
    if not (number or row.get("building")):
        yield "缺门牌号或楼栋 number or building is missing"
    if number and house_number(number) is None:
        yield f"门牌号写法不可识别 no known form of a house number: {number}"
    code = row.get("village_code") or ""
    if len(code) != 12 or not code.isdigit():
        yield f"村社区代码须为 12 位数字 village_code must have 12 digits: {code or '-'}"
    for name in ("county", "town", "road", "estate", "number", "building", "unit"):
        part = row.get(name)
        if part and part not in (row.get("full_address") or ""):
            yield f"标准地址不含 full_address lacks {name} {part}"
    twin = connection.execute(
        "SELECT id FROM layer.address WHERE full_address = %s AND id <> %s LIMIT 1",
        [row.get("full_address"), case.address],
    ).fetchone()
    if twin is not None:
        yield f"标准地址已属 the same full address is held by {twin[0]}"


def _row(connection: psycopg.Connection[Any], address: str) -> dict[str, Any] | None:
    cursor = connection.execute(
        "SELECT full_address, county, town, village, village_code, road, number, estate,"
        " building, unit FROM layer.address WHERE id = %s",
        [address],
    )
    row = cursor.fetchone()
    names = [column.name for column in cursor.description or ()]
    return None if row is None else dict(zip(names, row, strict=True))


def _locked(connection: psycopg.Connection[Any], case_id: int) -> Case:
    connection.execute("SELECT FROM gazetteer.address_case WHERE id = %s FOR UPDATE", [case_id])
    return load(connection, case_id)


def _next(step: str, case: Case) -> Stage:
    following = _NEXT.get((step, case.stage))
    if following is None:
        raise CycleError(
            f"申请 {case.id} 处于 {case.stage}，不能 {step} (case is {case.stage}; cannot {step})"
        )
    return following


def _moved(
    connection: psycopg.Connection[Any], case: Case, stage: Stage, actor: str, note: str = ""
) -> Case:
    connection.execute(
        "UPDATE gazetteer.address_case SET stage = %s WHERE id = %s", [stage.value, case.id]
    )
    _record(connection, case.id, stage, actor, note)
    return load(connection, case.id)


def _record(
    connection: psycopg.Connection[Any], case_id: int, stage: Stage, actor: str, note: str
) -> None:
    connection.execute(
        "INSERT INTO gazetteer.address_stage (address_case, stage, actor, note)"
        " VALUES (%s, %s, %s, %s)",
        [case_id, stage.value, actor, note],
    )


def _wkb(case: Case) -> bytes | Unchanged:
    if case.lon is None or case.lat is None:
        return UNCHANGED
    return bytes(shapely.to_wkb(shapely.Point(case.lon, case.lat)))
