"""Alive and ready: what a supervisor and a load balancer ask."""

from __future__ import annotations

import asyncio
import time

import psycopg
from psycopg_pool import PoolTimeout
from starlette.responses import JSONResponse, Response

from geoserver_py import __version__
from geoserver_py.operations import Call, Operation
from geoserver_py.problems import Problem
from layers.definition import Title
from layers.migrations import SCHEMA_VERSION

_READY_TIMEOUT = 2.0
"""Seconds in which the database must answer."""
_STALE_SECONDS = 30.0
"""A worker that has not seen the catalogue for so long may honour revoked keys."""


async def _healthz(_call: Call) -> Response:
    return JSONResponse({"status": "alive", "version": __version__})


async def _readyz(call: Call) -> Response:
    try:
        pools = call.services.pools
        async with asyncio.timeout(_READY_TIMEOUT), pools.reads() as reading:
            await reading.execute("SELECT 1")  # the connections that answers come from
        async with asyncio.timeout(_READY_TIMEOUT), pools.control() as connection:
            cursor = await connection.execute("SELECT version_num FROM catalog.migration")
            row = await cursor.fetchone()
    except (psycopg.Error, PoolTimeout, TimeoutError, Problem) as problem:
        raise Problem(
            503,
            "not-ready",
            zh="数据库没有应答。",
            en=f"(the database does not answer: {type(problem).__name__})",
            headers={"Retry-After": "2"},
        ) from problem
    if row is None or row[0] != SCHEMA_VERSION:
        raise Problem(
            503,
            "not-ready",
            zh="数据库结构不是最新版本，请运行 geoserver-py db migrate。",
            en=f"(schema is at {row and row[0]}, this version needs {SCHEMA_VERSION})",
            headers={"Retry-After": "5"},
        )
    if time.monotonic() - call.services.looked_at > _STALE_SECONDS:
        raise Problem(
            503,
            "not-ready",
            zh="图层目录久未更新，请看日志。",
            en="(the catalogue has not been refreshed for long: keys and layers may be old)",
            headers={"Retry-After": "5"},
        )
    return JSONResponse(
        {
            "status": "ready",
            "generation": call.services.catalogue.generation,
            "gazetteer": call.services.gazetteer.ready,
        }
    )


OPERATIONS = (
    Operation(
        method="GET",
        path="/healthz",
        operation_id="getHealth",
        summary=Title("进程存活", "Is the process alive"),
        tag="operations",
        handler=_healthz,
    ),
    Operation(
        method="GET",
        path="/readyz",
        operation_id="getReadiness",
        summary=Title("数据库与结构就绪", "Are database and schema ready"),
        tag="operations",
        handler=_readyz,
    ),
)
