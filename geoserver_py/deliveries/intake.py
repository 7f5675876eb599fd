"""Taking in an upload: to disk piece by piece, never in memory, and no more than is allowed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from starlette.requests import ClientDisconnect, Request

from geoserver_py.deliveries.limits import GDAL_ENVIRONMENT
from geoserver_py.problems import Problem
from geoserver_py.settings import Settings

FORM_SECONDS = 120.0
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


async def receive(request: Request, target: Path, limit_mb: int) -> int:
    """Write the body to `target`; its size. Problem 413 above the limit, 400 for an empty one."""
    limit = limit_mb * 2**20
    stated = request.headers.get("content-length", "")
    if stated.isdigit() and int(stated) > limit:
        raise _too_large(limit_mb)
    target.parent.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(target.parent).free < _SPARE_BYTES:
        raise Problem(
            503, "disk-full", zh="服务器磁盘空间不足，请稍后再传。",
            en="(the server is short of disk space; try again later)",
            headers={"Retry-After": "3600"},
        )  # fmt: skip
    received = 0
    with target.open("wb") as sink:
        try:
            async for chunk in request.stream():
                received += len(chunk)
                if received > limit:
                    raise _too_large(limit_mb)
                await asyncio.to_thread(sink.write, chunk)
        except ClientDisconnect as gone:
            raise Problem(
                400, "upload-cut-off", zh="上传中断。", en="(the upload was cut off)"
            ) from gone
    if received == 0:
        raise Problem(400, "empty-upload", zh="上传的文件是空的。", en="(the upload is empty)")
    return received


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


async def make_form(settings: Settings, run: int, form: str) -> tuple[int, str]:
    """Have a form of a run's report made by a process of its own: exit code and what it said."""
    process = await asyncio.create_subprocess_exec(
        *_command("form", str(run), form),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env=_environment(settings),
    )
    try:
        _, said = await asyncio.wait_for(process.communicate(), FORM_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
        return -1, ""
    except asyncio.CancelledError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        raise
    return process.returncode or 0, said.decode("utf-8", "replace")


def _command(*arguments: str) -> Sequence[str]:
    return (sys.executable, "-m", "geoserver_py.deliveries.worker", *arguments)
