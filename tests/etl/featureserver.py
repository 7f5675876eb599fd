"""A FeatureServer layer as the ArcGIS REST API documents its answers, over a table in SQLite.

What it keeps to: errors come with HTTP 200 and an `error` object; `where` is SQL with TIMESTAMP
literals in the layer's time zone; dates are milliseconds since 1970 in UTC; at most
`maxRecordCount` features an answer, with `exceededTransferLimit` only where more follow;
`returnIdsOnly` has no such limit and gives null for none; an empty feature set has no `fields`;
polygons are rings, shells clockwise; without `f=json` the answer is a page of HTML.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

from tests.etl.mapserver import serving

Query = dict[str, str]
_OF_A_PAGE = {
    "where", "outFields", "orderByFields", "returnZ", "resultOffset", "resultRecordCount", "f",
}  # fmt: skip


class Refused(Exception):  # noqa: N818
    """An error object of the REST API."""

    def __init__(self, code: int, message: str, *details: str) -> None:
        self.body = {"error": {"code": code, "message": message, "details": list(details)}}
        super().__init__(message)


@dataclass
class FeatureServer:
    """One layer: rows of (object id, attributes, Esri geometry), and what the server is like."""

    geometry: str = "esriGeometryPoint"
    wkid: int = 4490
    most: int = 10
    pagination: bool = True
    zone: str | None = None
    windows_zone: str | None = None
    tracking: bool = True
    token: str | None = None
    breaks_at: int | None = None
    """The page of features, counted from 0, that is answered with an error."""
    asked: list[Query] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    database: sqlite3.Connection = field(
        default_factory=lambda: sqlite3.connect(":memory:", check_same_thread=False)
    )
    lock: threading.Lock = field(default_factory=threading.Lock)

    def put(self, rows: list[tuple[int, dict[str, Any], Any]]) -> None:
        """Fill the layer; all rows have the same attributes, `last_edited_date` among them."""
        self.names = list(rows[0][1])
        listed = ", ".join(f'"{name}"' for name in self.names)
        marks = ", ".join("?" * (len(self.names) + 2))
        with self.lock:
            self.database.execute(f"CREATE TABLE layer (OBJECTID INTEGER, {listed}, shape)")
            self.database.executemany(
                f"INSERT INTO layer VALUES ({marks})",  # noqa: S608
                [(key, *row.values(), json.dumps(shape)) for key, row, shape in rows],
            )

    def change(self, statement: str, *values: Any) -> None:
        """What an editor of the service does."""
        with self.lock:
            self.database.execute(statement, values)

    def layer(self) -> dict[str, Any]:
        """The layer resource."""
        fields = [{"name": "OBJECTID", "type": "esriFieldTypeOID", "alias": "OBJECTID"}]
        fields += [
            {"name": name, "alias": name, "nullable": "true", "type": "esriFieldTypeDate"
             if name.endswith("_date") else "esriFieldTypeString"}
            for name in self.names
        ]  # fmt: skip
        about: dict[str, Any] = {
            "currentVersion": 11.3, "id": 0, "name": "parts", "type": "Feature Layer",
            "geometryType": self.geometry, "objectIdField": "OBJECTID", "fields": fields,
            "maxRecordCount": self.most, "capabilities": "Query",
            "extent": {"spatialReference": {"wkid": self.wkid, "latestWkid": self.wkid}},
            "advancedQueryCapabilities": {
                "supportsPagination": self.pagination, "supportsOrderBy": True,
            },
        }  # fmt: skip
        if self.tracking:
            about["editFieldsInfo"] = {
                "creationDateField": "created_date", "editDateField": "last_edited_date",
            }  # fmt: skip
        zone = self.windows_zone or self.zone
        if zone is not None:
            about["dateFieldsTimeReference"] = {"timeZone": zone, "respectsDaylightSaving": False}
        return about

    def query(self, asked: Query) -> dict[str, Any]:
        """The query operation."""
        self.asked.append(asked)
        where = self._sql(asked.get("where", ""))
        if asked.get("returnCountOnly") == "true":
            return {"count": self._rows(f"SELECT count(*) FROM layer WHERE {where}")[0][0]}  # noqa: S608
        if asked.get("returnIdsOnly") == "true":
            ids = [row[0] for row in self._rows(f"SELECT OBJECTID FROM layer WHERE {where}")]  # noqa: S608
            return {"objectIdFieldName": "OBJECTID", "objectIds": ids or None}
        if unknown := set(asked) - _OF_A_PAGE:
            raise Refused(400, "Invalid or missing input parameters.", str(unknown))
        if "resultOffset" in asked and not self.pagination:
            raise Refused(400, "Pagination is not supported.")
        pages = sum("outFields" in query for query in self.asked) - 1
        if self.breaks_at is not None and pages == self.breaks_at:
            raise Refused(500, "Error performing query operation", "数据库连接中断")
        most = min(int(asked.get("resultRecordCount", self.most)), self.most)
        order = asked.get("orderByFields", "random()")
        found = self._rows(
            f"SELECT * FROM layer WHERE {where} ORDER BY {order}"  # noqa: S608
            f" LIMIT {most + 1} OFFSET {int(asked.get('resultOffset', 0))}"
        )
        answer: dict[str, Any] = {
            "objectIdFieldName": "OBJECTID",
            "geometryType": self.geometry,
            "spatialReference": {"wkid": self.wkid, "latestWkid": self.wkid},
            "features": [
                {
                    "attributes": dict(zip(["OBJECTID", *self.names], row[:-1], strict=True)),
                    "geometry": json.loads(row[-1]),
                }
                for row in found[:most]
            ],
        }
        if found:
            answer["fields"] = self.layer()["fields"]
        if len(found) > most:
            answer["exceededTransferLimit"] = True
        return answer

    def _sql(self, where: str) -> str:
        """`where` with TIMESTAMP literals as milliseconds, read in the layer's zone."""

        def milliseconds(literal: re.Match[str]) -> str:
            zone = ZoneInfo(self.zone or "UTC")
            at = dt.datetime.fromisoformat(literal[1]).replace(tzinfo=zone)
            return str(round(at.timestamp() * 1000))

        return re.sub(r"TIMESTAMP '([^']+)'", milliseconds, where)

    def _rows(self, statement: str) -> list[Any]:
        try:
            with self.lock:
                return self.database.execute(statement).fetchall()
        except sqlite3.Error as error:
            raise Refused(
                400, "Cannot perform query. Invalid query parameters.", str(error)
            ) from error

    def answer(self, path: str, asked: Query, bearer: str | None) -> bytes:
        """The body of an answer."""
        if asked.get("f") != "json":
            return b"<html>ArcGIS REST Services Directory</html>"
        try:
            if self.token is not None and bearer != f"Bearer {self.token}":
                missing = bearer is None
                raise Refused(*((499, "Token Required") if missing else (498, "Invalid token.")))
            found = self.query(asked) if path.endswith("/query") else self.layer()
        except Refused as refused:
            found = refused.body
        return json.dumps(found, ensure_ascii=False).encode()


@contextmanager
def feature_server(server: FeatureServer) -> Iterator[str]:
    """Serve on loopback; yields the URL of the layer as a delivery names it."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
            body = server.answer(parts.path, asked, self.headers.get("X-Esri-Authorization"))
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Keep the test output clean."""

    with serving(Handler) as host:
        yield f"arcgis+http://{host}/arcgis/rest/services/parts/FeatureServer/0"
