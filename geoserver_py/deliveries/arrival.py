"""An upload arrives: within what its bureau may have under way, send in a day, and keep on disk."""

from __future__ import annotations

import asyncio
import shutil

from starlette.responses import Response

from geoserver_py.deliveries import intake, store
from geoserver_py.deliveries.asking import json_answer, require_deliverer
from geoserver_py.deliveries.folders import UploadFolder, upload_folder
from geoserver_py.deliveries.store import Spent
from geoserver_py.deliveries.upkeep import Room, room_of
from geoserver_py.operations import Call
from geoserver_py.problems import Problem, invalid_parameter
from geoserver_py.settings import Settings

MOST_UNDER_WAY = 10
"""Uploads of a bureau that may be under way at a time: each holds a process and a connection."""


async def create(call: Call) -> Response:
    """Take an upload in and start the process that looks into it.

    Problem 429 above the uploads under way or the share of a day, 413 above a size.
    """
    owner = _owner(call)
    settings, key = call.services.settings, call.principal.name
    name = intake.plain_name(call.arguments["name"])
    dsn = settings.dsn()
    room = await _room(call, owner)
    number = await store.note_upload(dsn, name, owner, key, lambda spent: _admit(settings, spent))
    folder = upload_folder(settings.upload_home, number)
    whole = False
    try:
        size = await intake.receive(call.request, folder.received, settings.upload_max_mb, room)
        await _settle(call, owner, number, size)
        whole = True
    finally:
        if not whole:
            await _forget(dsn, folder, number)
    await intake.start_worker(settings, "prepare", number, folder.log)
    return json_answer(
        {"id": number, "state": "received"}, 202, {"Location": f"deliveries/{number}"}
    )


def _owner(call: Call) -> str:
    bureau = require_deliverer(call)
    stated = call.arguments["bureau"]
    if bureau is not None and stated not in (None, bureau):
        raise invalid_parameter("bureau", zh=f"密钥属于 {bureau}。", en="the key names the bureau")
    owner = bureau or stated or call.principal.bureau
    if owner is None:
        raise invalid_parameter(
            "bureau", zh="管理密钥上传时须写明委办局。", en="state whose delivery this is"
        )
    return str(owner)


async def _room(call: Call, owner: str) -> Room:
    async with call.services.pools.reads() as connection:
        numbers = await store.numbers_of_async(connection, owner)
    return await asyncio.to_thread(room_of, call.services.settings, numbers)


async def _settle(call: Call, owner: str, number: int, size: int) -> None:
    """Measure once more, now that all bytes are there, and note the size.

    Uploads that arrive together do not see each other's last bytes before: whoever comes to its
    end measures all that is on disk, so the last to do so is within the quota or goes.
    """
    settings = call.services.settings
    room = await _room(call, owner)
    if room.used > room.quota:
        raise Problem(413, "quota-exceeded", zh=room.zh, en=room.en)
    await store.note_size(
        settings.dsn(), number, owner, size, lambda spent: _admit_size(settings, spent, size)
    )


async def _forget(dsn: str, folder: UploadFolder, number: int) -> None:
    await asyncio.to_thread(shutil.rmtree, folder.root, ignore_errors=True)
    await store.forget_upload(dsn, number)


def _admit(settings: Settings, spent: Spent) -> None:
    if spent.under_way >= MOST_UNDER_WAY:
        raise Problem(
            429,
            "too-many-uploads",
            zh=f"已有 {MOST_UNDER_WAY} 次上传在处理，请等它们结束。",
            en=f"({MOST_UNDER_WAY} uploads of the bureau are under way; wait for them)",
            headers={"Retry-After": "60"},
        )
    most = settings.upload_day_count
    if spent.count >= most:
        raise Problem(
            429,
            "day-spent",
            zh=f"本单位 24 小时内已上传 {spent.count} 次，限 {most} 次，请稍后再传。",
            en=f"({spent.count} uploads of the bureau within 24 hours, at most {most}; send later)",
            headers={"Retry-After": str(spent.frees_in)},
        )
    _admit_size(settings, spent, 1)


def _admit_size(settings: Settings, spent: Spent, size: int) -> None:
    most = settings.upload_day_mb
    if spent.size_bytes + size > most * 2**20:
        sent = spent.size_bytes / 2**20
        raise Problem(
            429,
            "day-spent",
            zh=f"本单位 24 小时内已上传 {sent:.0f} MB，限 {most} MB，放不下；请稍后再传。",
            en=f"({sent:.0f} MB of the bureau within 24 hours, at most {most}; send later)",
            headers={"Retry-After": str(spent.frees_in)},
        )
