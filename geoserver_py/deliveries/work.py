"""What the process of an upload does: unpack, look into the files, run the delivery."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import sys
import time
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg

from etl.datum import DatumError
from etl.datum.store import load_registry
from etl.delivery import Delivery, DeliveryError, load_delivery
from etl.inspect import inspect_file
from etl.ledger import DeliveryBusy
from etl.outputs import (
    NoReport,
    finished_run,
    write_docx,
    write_dxf,
    write_rejected,
    write_xlsx,
)
from etl.readers import ReadError, ReadOptions, open_source
from etl.readers.archive import ArchiveSource, unpack
from etl.rejects import RejectsError
from etl.report import LoadReport, Status
from etl.report.plane import NoPlaneGrid
from etl.run import run_delivery
from geoserver_py.deliveries import store
from geoserver_py.deliveries.folders import UNPACKED, UploadFolder, form_path, upload_folder
from geoserver_py.deliveries.guard import (
    NotAllowed,
    check_delivery,
    deliverable,
    delivery_file,
)
from geoserver_py.deliveries.keeper import limit_time
from geoserver_py.deliveries.prefill import describe
from geoserver_py.deliveries.store import Upload
from geoserver_py.deliveries.upkeep import Room, room_of
from geoserver_py.process_locks import take_slot
from geoserver_py.settings import Settings, load_settings
from layers.access import Principal
from layers.city import load_city
from layers.definition import load_definitions

AT_ONCE = 2
"""Uploads that run at a time, and so many that are looked into; the others wait in line."""
_SLOT_CLASS = store.LOCK_CLASS + 1
LOOK_CLASS = store.LOCK_CLASS + 3
LAYER_CLASS = store.LOCK_CLASS + 2
"""First key of the locks of uploads that stand in line for a layer."""
_PROGRESS_SECONDS = 0.5
_MEMORY_BYTES = 8_000_000_000
REFUSED = 3
"""Exit code of a form that cannot be made; the sentence is on standard error."""

_PACKED = (".zip",)
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError)


class _Refused(ValueError):  # noqa: N818 - it names an outcome
    """An upload that cannot become a delivery, in a sentence."""


def run_task(task: str, rest: Sequence[str]) -> int:
    """Dispatch a task of the worker; its exit code."""
    settings = load_settings()
    os.nice(5)
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = _MEMORY_BYTES if hard == resource.RLIM_INFINITY else min(_MEMORY_BYTES, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    if task == "form":
        limit_time(settings.upload_form_seconds)
        return _form(settings, int(rest[0]), rest[1])
    number = int(rest[0])
    with psycopg.connect(settings.dsn(), autocommit=True) as connection:
        if not store.hold(connection, number):
            return 0  # another process has it
        _notice_end_soon(connection)
        upload = store.read(connection, number)
        if upload is None:
            return 0
        with _always_ended(connection, number):
            if task == "prepare":
                _prepare(settings, connection, upload)
            else:
                _run(settings, connection, upload)
    return 0


def _notice_end_soon(connection: psycopg.Connection[Any]) -> None:
    """Have the database end a statement, and its locks, soon after this process was ended.

    For the connections of the run as well, which are opened later. Databases before 14, or on
    systems that cannot tell, do so when the statement ends.
    """
    setting = ("client_connection_check_interval", "2s")
    try:
        connection.execute("SELECT set_config(%s, %s, false)", setting)
    except (psycopg.errors.UndefinedObject, psycopg.errors.InvalidParameterValue):
        return
    stated = os.environ.get("PGOPTIONS", "")
    os.environ["PGOPTIONS"] = f"{stated} -c {'='.join(setting)}".strip()


@contextlib.contextmanager
def _always_ended(connection: psycopg.Connection[Any], number: int) -> Iterator[None]:
    """Whatever happens, the upload ends in a state that says so."""
    ended = False
    try:
        yield
        ended = True
    except (NotAllowed, _Refused, DeliveryError, ReadError, DatumError) as refused:
        store.note(connection, number, "refused", message=" ".join(str(refused).split()))
        ended = True
    except DeliveryBusy as busy:
        store.note(connection, number, "failed", message=str(busy))
        ended = True
    finally:
        if not ended:
            sentence = "处理时出错，已记录，请联系地理信息中心 (an error of ours; it is logged)"
            store.note(connection, number, "failed", message=sentence)


def _prepare(settings: Settings, connection: psycopg.Connection[Any], upload: Upload) -> None:
    _take_slot(connection, LOOK_CLASS)
    limit_time(settings.upload_look_seconds)
    store.note(connection, upload.id, "inspecting")
    folder = upload_folder(settings.upload_home, upload.id)
    if folder.received.is_file():  # else it was taken in before, and the look broke off
        room = room_of(settings, store.numbers_of(connection, upload.bureau))
        _take_in(settings, folder, upload, room)
        # what was unpacked beside it meanwhile takes room, too
        room = room_of(settings, store.numbers_of(connection, upload.bureau))
        if room.used > room.quota:
            shutil.rmtree(folder.files)
            raise _Refused(f"{room.zh} {room.en}")
    if delivery_file(folder.files) is not None:
        limit_time(0)
        _leave_slots(connection, LOOK_CLASS)
        _run(settings, connection, upload)
        return
    entries, notes = _look(settings, connection, upload, folder.files)
    limit_time(0)
    if not entries:
        raise _Refused("；".join(notes) or "没有可读的数据文件 (no file that can be read)")
    store.note(connection, upload.id, "waiting", inspection={"entries": entries, "notes": notes})


def _take_in(settings: Settings, folder: UploadFolder, upload: Upload, room: Room) -> None:
    """Put the files of an upload where they are looked for, anew if that broke off."""
    if folder.files.exists():
        shutil.rmtree(folder.files)
    folder.files.mkdir(parents=True)
    if upload.name.lower().endswith(_PACKED):
        try:
            with zipfile.ZipFile(folder.received) as packed:
                size = sum(entry.file_size for entry in packed.infolist())
            if size > room.left:
                raise _Refused(f"解开有 {size / 2**20:.0f} MB。{room.zh} {room.en}")
            unpack(folder.received, folder.files, settings.upload_max_mb * UNPACKED * 2**20)
        except _DAMAGE as error:
            raise _Refused("压缩包损坏或不是 zip (the archive is damaged, or no zip)") from error
        except ReadError as error:
            raise _Refused(f"{error.zh} {error.en}") from error
        folder.received.unlink()
    else:
        folder.received.rename(folder.files / upload.name)


def _look(
    settings: Settings, connection: psycopg.Connection[Any], upload: Upload, folder: Path
) -> tuple[list[dict[str, Any]], list[str]]:
    """Entries of the form for every data set, and what could not be read."""
    profile, registry = load_city(settings.city), load_registry(connection)
    principal = _principal(connection, upload)
    known = load_definitions()
    layers = [known[name] for name in deliverable(principal, known, settings.city)]
    entries: list[dict[str, Any]] = []
    notes: list[str] = []
    for member in ArchiveSource(folder, ReadOptions(), open_source, folder).members:
        try:
            found = inspect_file(member.path, profile, registry=registry)
        except (ReadError, DatumError) as error:
            notes.append(f"{member.name}: {' '.join(str(error).split())}")
            continue
        entries += describe(member.name, found, layers, registry)
    return entries, notes


def _principal(connection: psycopg.Connection[Any], upload: Upload) -> Principal:
    principal = store.principal_of_key(connection, upload.key)
    if principal is None:
        raise _Refused(f"密钥 {upload.key} 已吊销 (the key was revoked)")
    return principal


def _run(settings: Settings, connection: psycopg.Connection[Any], upload: Upload) -> None:
    store.note(connection, upload.id, "queued")
    folder = upload_folder(settings.upload_home, upload.id)
    path = delivery_file(folder.files)
    if path is None:
        raise _Refused("没有 delivery.yaml (there is no delivery file)")
    delivery = load_delivery(path)
    delivery = replace(delivery, path=path.resolve())
    principal = _principal(connection, upload)
    check_delivery(delivery, folder.files, principal, load_definitions(), settings.city)
    _require_own_name(connection, delivery)
    _wait_in_line(connection, delivery)
    limit_time(settings.upload_run_seconds)
    store.note(connection, upload.id, "running", delivery=delivery.name)
    reports = run_delivery(
        delivery,
        settings.dsn(),
        principal=principal,
        progress=_Progress(connection, upload.id).tell,
    )
    limit_time(0)
    fault = next((r for r in reports if r.status is Status.BLOCKED), None)
    fault = fault or next((r for r in reports if not r.good and r.files), None)
    fault = fault or next((r for r in reports if not r.good), None)
    store.note(
        connection,
        upload.id,
        _outcome(reports),
        message=None if fault is None else fault.reason,
        runs=[report.run for report in reports],
        progress={},
    )


def _outcome(reports: Sequence[LoadReport]) -> str:
    if all(report.good for report in reports):
        return "done"
    blocked = any(report.status is Status.BLOCKED for report in reports)
    return "blocked" if blocked else "failed"


def _require_own_name(connection: psycopg.Connection[Any], delivery: Delivery) -> None:
    row = connection.execute(
        "SELECT bureau FROM catalog.delivery WHERE name = %s", [delivery.name]
    ).fetchone()
    if row is not None and row[0] != delivery.bureau:
        raise NotAllowed(
            f"delivery: 名称 {delivery.name} 已被使用，请另取 (the name is taken; choose another)"
        )


def _wait_in_line(connection: psycopg.Connection[Any], delivery: Delivery) -> None:
    """Until a slot is free, and nobody else's upload loads one of the layers."""
    for layer in sorted({load.layer for load in delivery.loads}):
        connection.execute("SELECT pg_advisory_lock(%s, hashtext(%s))", [LAYER_CLASS, layer])
    _take_slot(connection, _SLOT_CLASS)


def _take_slot(connection: psycopg.Connection[Any], kind: int) -> None:
    """Wait for one of the slots of a kind of work; held until the connection closes."""
    while not take_slot(connection, kind, AT_ONCE):
        time.sleep(0.5)


def _leave_slots(connection: psycopg.Connection[Any], kind: int) -> None:
    connection.execute(
        "SELECT pg_advisory_unlock(%(kind)s, objid::bigint::int4) FROM pg_locks"
        " WHERE locktype = 'advisory' AND objsubid = 2 AND pid = pg_backend_pid()"
        " AND classid = %(kind)s::bigint::oid",
        {"kind": kind},
    )


class _Progress:
    """Notes how far a run is, twice a second at most."""

    def __init__(self, connection: psycopg.Connection[Any], upload: int) -> None:
        self.connection, self.upload, self.noted = connection, upload, 0.0

    def tell(self, layer: str, rows: int, total: int | None) -> None:
        """As `etl.layer_work.Progress`."""
        now = time.monotonic()
        if now - self.noted >= _PROGRESS_SECONDS:
            self.noted = now
            progress = {"layer": layer, "rows": rows, "total": total}
            store.note(self.connection, self.upload, "running", progress=progress)


def _form(settings: Settings, number: int, form: str) -> int:
    """Make a form of a run's report, or its rejects, where it is looked for."""
    target = form_path(settings.upload_home, number, form)
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{os.getpid()}.{target.name}")
    try:
        with psycopg.connect(settings.dsn()) as connection:
            run = finished_run(connection, number)
            if form == "docx":
                write_docx(connection, run, draft)
            elif form == "xlsx":
                write_xlsx(connection, run, draft)
            elif form == "dxf":
                write_dxf(connection, run, draft)
            else:
                write_rejected(connection, [run], draft)
        draft.replace(target)
    except (NoReport, RejectsError, NoPlaneGrid) as refused:
        sys.stderr.write(" ".join(str(refused).split()))
        return REFUSED
    finally:
        draft.unlink(missing_ok=True)
    return 0
