"""Taking in an upload: to disk piece by piece, never in memory, and no more than is allowed."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from starlette.requests import ClientDisconnect, Request

from geoserver_py.deliveries.folders import form_path
from geoserver_py.deliveries.limits import GDAL_ENVIRONMENT
from geoserver_py.deliveries.upkeep import Room
from geoserver_py.problems import Problem
from geoserver_py.settings import Settings

FORMS_AT_ONCE = 2
"""Forms of reports that are made at a time on this machine; a third waits so long, then 503."""
FORM_WAIT_SECONDS = 10.0
_SPARE_BYTES = 1_000_000_000
_UNFIT = re.compile(r"[\x00-\x1f\x7f/\\:*?\"<>|]+")


def plain_name(name: str) -> str:
    """A file name without a path, control characters or leading dots; never empty."""
    last = re.split(r"[/\\]", name)[-1]
    cleaned = _UNFIT.sub("_", last).strip(" .")
    encoded = cleaned.encode("utf-8", "ignore")
    if len(encoded) > 200:  # a file name may have 255 bytes
        stem, dot, suffix = cleaned.rpartition(".")
        cleaned = stem.encode()[:180].decode("utf-8", "ignore") + dot + suffix[:10]
    return cleaned or "delivery.zip"


async def receive(request: Request, target: Path, limit_mb: int, room: Room) -> int:
    """Write the body to `target`; its size.

    Problem 413 above the limit or the bureau's room, 400 for an empty one.
    """
    limit = limit_mb * 2**20
    stated = request.headers.get("content-length", "")
    _require_fit(int(stated) if stated.isdigit() else 1, limit_mb, room)
    target.parent.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(target.parent).free < _SPARE_BYTES:
        raise Problem(
            503, "disk-full", zh="服务器磁盘空间不足，请稍后再传。",
            en="(the server is short of disk space; try again later)",
            headers={"Retry-After": "3600"},
        )  # fmt: skip
    received = 0
    most = min(limit, room.left)
    with target.open("wb") as sink:
        try:
            async for chunk in request.stream():
                received += len(chunk)
                if received > most:
                    _require_fit(received, limit_mb, room)
                await asyncio.to_thread(sink.write, chunk)
        except ClientDisconnect as gone:
            raise Problem(
                400, "upload-cut-off", zh="上传中断。", en="(the upload was cut off)"
            ) from gone
    if received == 0:
        raise Problem(400, "empty-upload", zh="上传的文件是空的。", en="(the upload is empty)")
    return received


def _require_fit(size: int, limit_mb: int, room: Room) -> None:
    if size > limit_mb * 2**20:
        raise _too_large(limit_mb)
    if size > room.left:
        raise Problem(413, "quota-exceeded", zh=room.zh, en=room.en)


def _too_large(limit_mb: int) -> Problem:
    return Problem(
        413,
        "upload-too-large",
        zh=f"上传超过 {limit_mb} MB，请分开交付或请中心在命令行装载。",
        en=f"(above {limit_mb} MB; split the delivery)",
    )


def _environment(settings: Settings) -> Mapping[str, str]:
    """What the child process needs to find the same database and folders."""
    return {
        **os.environ,
        **GDAL_ENVIRONMENT,
        "GEOSERVER_PY_DATABASE_URL": settings.dsn(),
        "GEOSERVER_PY_DATA_DIR": str(settings.data_dir.absolute()),
        "GEOSERVER_PY_UPLOAD_DIR": str(settings.upload_home),
        "GEOSERVER_PY_UPLOAD_MAX_MB": str(settings.upload_max_mb),
        "GEOSERVER_PY_UPLOAD_QUOTA_MB": str(settings.upload_quota_mb),
        "GEOSERVER_PY_UPLOAD_KEEP_DAYS": str(settings.upload_keep_days),
        "GEOSERVER_PY_UPLOAD_LOOK_SECONDS": str(settings.upload_look_seconds),
        "GEOSERVER_PY_UPLOAD_RUN_SECONDS": str(settings.upload_run_seconds),
        "GEOSERVER_PY_UPLOAD_FORM_SECONDS": str(settings.upload_form_seconds),
        "GEOSERVER_PY_CITY": settings.city,
    }


async def start_worker(settings: Settings, task: str, upload: int, log: Path) -> None:
    """Start the process of an upload; returns as soon as it is on its own."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as said:
        process = await asyncio.create_subprocess_exec(
            *_command(task, str(upload)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            env=_environment(settings),
        )
        await process.wait()  # it forks and leaves at once


@contextlib.asynccontextmanager
async def _form_slot(folder: Path) -> AsyncIterator[None]:
    """One of the slots of all web workers: a lock on a file, which ends with its holder."""
    folder.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + FORM_WAIT_SECONDS
    with contextlib.ExitStack() as held:
        files = [
            held.enter_context((folder / f".slot{n}").open("ab")) for n in range(FORMS_AT_ONCE)
        ]
        while not any(map(_try_lock, files)):
            if time.monotonic() > deadline:
                raise Problem(
                    503, "busy", zh="正在生成其他报告，请稍后重试。",
                    en="(other reports are being made; retry later)",
                    headers={"Retry-After": "10"},
                )  # fmt: skip
            await asyncio.sleep(0.2)
        yield


def _try_lock(file: BinaryIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


async def make_form(settings: Settings, run: int, form: str) -> tuple[int, str]:
    """Have a form of a run's report made by a process of its own: exit code and what it said.

    Problem 503 where too many are being made.
    """
    path = form_path(settings.upload_home, run, form)
    async with _form_slot(path.parent):
        if path.is_file():  # somebody else asked for it, too
            return 0, ""
        return await _make_form(settings, run, form)


async def _make_form(settings: Settings, run: int, form: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *_command("form", str(run), form),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env=_environment(settings),
        start_new_session=True,
    )
    try:
        _, said = await asyncio.wait_for(process.communicate(), settings.upload_form_seconds)
    except TimeoutError:
        return -1, ""
    finally:  # also when the client is gone: it, and whatever it started
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    return process.returncode or 0, said.decode("utf-8", "replace")


def _command(*arguments: str) -> Sequence[str]:
    return (sys.executable, "-m", "geoserver_py.deliveries.worker", *arguments)
