"""The disk of uploads: how much a bureau's take, and which are old enough to go.

The catalogue keeps every upload and the reports of its runs; what goes is the files.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psycopg

from geoserver_py.deliveries import store
from geoserver_py.deliveries.folders import upload_folder
from geoserver_py.jobs import store as jobs
from geoserver_py.process_locks import try_hold
from geoserver_py.settings import Settings

log = logging.getLogger(__name__)

DAY_SECONDS = 86_400.0
FIRST_SECONDS = 60.0
"""After the start of the service, which has better things to do at first."""


@dataclass(frozen=True, slots=True)
class Swept:
    """What was removed: numbers of uploads, files of made forms, bytes of both."""

    uploads: tuple[int, ...]
    forms: int
    size_bytes: int

    def sentence(self) -> str:
        """What to tell whoever asked."""
        return (
            f"清除 {len(self.uploads)} 次上传的文件和 {self.forms} 个报告文件，"
            f"共 {self.size_bytes / 2**20:.1f} MB "
            f"(files of {len(self.uploads)} uploads and {self.forms} made forms removed)"
        )


@dataclass(frozen=True, slots=True)
class Room:
    """What the uploads of a bureau take of the disk, and may take (bytes)."""

    used: int
    quota: int
    keep_days: float

    @property
    def left(self) -> int:
        """Bytes that may still come."""
        return max(0, self.quota - self.used)

    @property
    def zh(self) -> str:
        """Why no more is taken, and what helps."""
        return (
            f"本单位的上传已占 {self.used / 2**20:.0f} MB，"
            f"限额 {self.quota / 2**20:.0f} MB，放不下；"
            f"文件在结束 {self.keep_days:g} 天后清除，急需请联系地理信息中心清理。"
        )

    @property
    def en(self) -> str:
        """As `zh`."""
        return (
            f"(the bureau's uploads take {self.used / 2**20:.0f} of "
            f"{self.quota / 2**20:.0f} MB; files go {self.keep_days:g} days after their upload "
            "ended, or ask the centre to prune them)"
        )


def room_of(settings: Settings, uploads: Iterable[int]) -> Room:
    """The room of a bureau that has these uploads."""
    used = used_bytes(settings.upload_home, uploads)
    return Room(used, settings.upload_quota_mb * 2**20, settings.upload_keep_days)


def used_bytes(home: Path, uploads: Iterable[int]) -> int:
    """Bytes that the folders of these uploads take."""
    present = {entry.name for entry in home.iterdir()} if home.is_dir() else set()
    return sum(_size(home / str(n)) for n in uploads if str(n) in present)


def _size(folder: Path) -> int:
    size = 0
    for parent, _, files in os.walk(folder, onerror=_pass_what_is_gone):
        for name in files:
            try:
                size += os.lstat(os.path.join(parent, name)).st_size
            except FileNotFoundError:  # a run writes and removes beside us
                continue
    return size


def _pass_what_is_gone(error: OSError) -> None:
    """A refused upload is removed while another of its bureau is measured."""
    if not isinstance(error, FileNotFoundError):
        raise error


def sweep(settings: Settings, keep_days: float | None = None) -> Swept:
    """Remove the files of uploads that ended so many days ago, and forms of reports as old.

    `keep_days` is that of the settings by default. An upload that somebody starts again
    meanwhile is left alone.
    """
    days = settings.upload_keep_days if keep_days is None else keep_days
    home = settings.upload_home
    gone: list[int] = []
    size = 0
    with psycopg.connect(settings.dsn(), autocommit=True) as connection:
        for number in store.ended_before(connection, days):
            folder = upload_folder(home, number).root
            if not folder.is_dir() or not try_hold(connection, store.LOCK_CLASS, number):
                continue
            try:
                if number in store.ended_before(connection, days, number):
                    size += _size(folder)
                    shutil.rmtree(folder)
                    gone.append(number)
            finally:
                store.let_go(connection, number)
    before = time.time() - days * DAY_SECONDS
    forms = [path for path in (home / "runs").glob("[!.]*") if path.stat().st_mtime < before]
    for path in forms:
        size += path.stat().st_size
        path.unlink(missing_ok=True)
    return Swept(tuple(gone), len(forms), size)


async def follow(settings: Settings, first_seconds: float = FIRST_SECONDS) -> None:
    """Sweep once a day until cancelled; a lost database or disk is logged, and tried again."""
    await asyncio.sleep(first_seconds)
    while True:
        try:
            swept = await asyncio.to_thread(sweep, settings)
            if swept.uploads or swept.forms:
                log.info(swept.sentence())
            await asyncio.to_thread(jobs.sweep, settings)
        except (psycopg.Error, OSError) as lost:
            log.warning("uploads not swept: %s", lost)
        await asyncio.sleep(DAY_SECONDS)
