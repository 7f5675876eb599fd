"""What the process of a job does: read the table, match it, write the table that comes back."""

from __future__ import annotations

import asyncio
import os
import resource
import time
from collections.abc import AsyncIterator
from typing import Any

import psycopg

from etl.datum import DatumError
from etl.datum.store import load_registry_async
from gazetteer.service import GazetteerService, lent
from geoserver_py.batch import matched_rows
from geoserver_py.deliveries.keeper import limit_time
from geoserver_py.deliveries.store import principal_of_key
from geoserver_py.geocoding import MATCH_COLUMNS
from geoserver_py.jobs import store
from geoserver_py.jobs.store import Job, JobFolder, job_folder
from geoserver_py.process_locks import take_slot, try_hold
from geoserver_py.settings import Settings, load_settings
from geoserver_py.tables import (
    XLSX_TYPE,
    Table,
    TableError,
    csv_lines,
    read_csv,
    read_xlsx,
    xlsx_bytes,
)
from layers.access import Principal
from layers.catalogue import load_catalogue_async
from layers.city import load_city

AT_ONCE = 1
"""Jobs that run at a time, on a machine that serves meanwhile; the others wait in line."""
MAX_JOB_ROWS = 2_000_000
MAX_SHEET_ROWS = 1_048_575
"""Rows below the heading that a sheet of Excel holds."""
_MEMORY_BYTES = 8_000_000_000
_NOTE_SECONDS = 1.0


class _Refused(ValueError):  # noqa: N818 - it names an outcome
    """A job that cannot be done, in a sentence."""


class _Dismissed(Exception):  # noqa: N818 - it names an outcome
    """The client gave the job up."""


def run_job(number: int) -> int:
    """Do a job to its end, whatever that is; 0."""
    settings = load_settings()
    os.nice(10)
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = _MEMORY_BYTES if hard == resource.RLIM_INFINITY else min(_MEMORY_BYTES, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    with psycopg.connect(settings.dsn(), autocommit=True) as connection:
        if not try_hold(connection, store.LOCK_CLASS, number):
            return 0  # another process has it
        job = store.read(connection, number)
        if job is None or job.state != "accepted":
            return 0
        state, message = "failed", "处理时出错，已记录 (an error of ours; it is logged)"
        try:
            _wait_for_turn(connection, number)
            limit_time(settings.job_run_seconds)
            _run(settings, connection, job)
            state, message = "successful", ""
        except (TableError, DatumError, _Refused) as refused:
            message = " ".join(str(refused).split())
        except _Dismissed:
            return 0
        finally:
            limit_time(0)
            store.note(connection, number, state, message=message or None)
    return 0


def _wait_for_turn(connection: psycopg.Connection[Any], number: int) -> None:
    while not take_slot(connection, store.SLOT_CLASS, AT_ONCE):
        if not store.note(connection, number, "accepted"):
            raise _Dismissed
        time.sleep(0.5)


def _run(settings: Settings, connection: psycopg.Connection[Any], job: Job) -> None:
    if not store.note(connection, job.id, "running"):
        raise _Dismissed
    principal = principal_of_key(connection, job.key)
    if principal is None:
        raise _Refused(f"密钥 {job.key} 已吊销 (the key was revoked)")
    folder = job_folder(settings.job_home, job.id)
    content = folder.received.read_bytes()
    table = read_xlsx(content) if job.media_type == XLSX_TYPE else read_csv(content)
    del content
    most = MAX_SHEET_ROWS if job.media_type == XLSX_TYPE else MAX_JOB_ROWS
    if len(table.rows) > most:
        raise _Refused(f"最多 {most} 行，收到 {len(table.rows)} 行 (at most {most} rows)")
    store.note(connection, job.id, "running", rows_total=len(table.rows))
    asyncio.run(_match(settings, connection, job, principal, table, folder))


async def _match(
    settings: Settings,
    connection: psycopg.Connection[Any],
    job: Job,
    principal: Principal,
    table: Table,
    folder: JobFolder,
) -> None:
    column = table.column(job.inputs.get("column"))
    profile = load_city(settings.city)
    async with await psycopg.AsyncConnection.connect(settings.dsn(), autocommit=True) as own:
        registry = await load_registry_async(own)
        target = registry.parse(job.inputs.get("coordsys_out") or "cgcs2000")
        gazetteer = GazetteerService(lent(own), profile)
        await gazetteer.follow(await load_catalogue_async(own))
        rows = matched_rows(
            gazetteer, lent(own), principal, table, column,
            profile=profile, registry=registry, target=target,
        )  # fmt: skip
        told = _told(connection, job.id, rows)
        heading = (*table.heading, *MATCH_COLUMNS)
        draft = folder.result.with_name(".result")
        with draft.open("wb") as file:
            if job.media_type == XLSX_TYPE:
                file.write(xlsx_bytes([heading, *[row async for piece in told for row in piece]]))
            else:
                file.write(csv_lines([heading], first=True))
                async for piece in told:
                    file.write(csv_lines(piece, first=False))
        draft.replace(folder.result)


async def _told(
    connection: psycopg.Connection[Any],
    number: int,
    rows: AsyncIterator[list[tuple[Any, ...]]],
) -> AsyncIterator[list[tuple[Any, ...]]]:
    """The same pieces, with their count noted once a second; _Dismissed where nobody wants them."""
    done, noted = 0, time.monotonic()
    async for piece in rows:
        yield piece
        done += len(piece)
        if time.monotonic() - noted >= _NOTE_SECONDS:
            noted = time.monotonic()
            if not store.note(connection, number, "running", rows_done=done):
                raise _Dismissed
    if not store.note(connection, number, "running", rows_done=done):
        raise _Dismissed
