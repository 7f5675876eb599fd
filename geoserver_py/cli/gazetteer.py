"""`geoserver-py gazetteer`: what the dictionary holds, one address explained, tables of them."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import psycopg
import typer
from rich.console import Console
from rich.table import Table

from etl.datum.store import load_registry_async
from gazetteer.levels import Kind
from gazetteer.normalise import MAX_QUERY_LENGTH
from gazetteer.parse import parse as read_address
from gazetteer.service import GazetteerService, lent
from gazetteer.store import SOURCES, Connection
from gazetteer.trace import trace
from geoserver_py.cli import address
from geoserver_py.cli.explain import parse_lines, trace_lines
from geoserver_py.cli.output import JsonOption, emit, progress, say
from geoserver_py.errors import WorkFailed
from geoserver_py.explaining import trace_document
from geoserver_py.geocoding import MATCH_COLUMNS, geocode, typed_position
from geoserver_py.matching import match_in_processes
from geoserver_py.parse_routes import parse_document
from geoserver_py.settings import load_settings
from geoserver_py.tables import TableError, pieces, read_csv, read_xlsx
from layers.access import SYSTEM
from layers.catalogue import load_catalogue_async
from layers.city import CityProfile, load_city

app = typer.Typer(help="地名地址 / the address engine", no_args_is_help=True)
app.command("report")(address.report)

_ENCODINGS = ("utf-8-sig", "gb18030")
_CHUNK = 1000


Text = Annotated[str, typer.Argument(help="地址 / an address, a name or a coordinate")]


@contextlib.asynccontextmanager
async def _opened(
    *, quiet: bool = False
) -> AsyncIterator[tuple[GazetteerService, Connection, CityProfile]]:
    """The loaded engine with a connection for its look-ups; tells on stderr how far it is."""
    settings = load_settings()
    profile = load_city(settings.city)
    dsn = settings.dsn()

    @contextlib.asynccontextmanager
    async def connect() -> AsyncIterator[Connection]:
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
            yield connection

    service = GazetteerService(connect, profile)
    async with connect() as connection:
        with progress(quiet=quiet) as bar:
            task = bar.add_task("读取地名 names", total=len(SOURCES) + 1)

            def on_layer(name: str) -> None:
                bar.update(task, advance=1, description=f"读取 reading {name}")

            await service.follow(await load_catalogue_async(connection), on_layer)
            bar.update(task, description="建立词典 building the dictionary")
            await service.index(SYSTEM)
            bar.advance(task)
        yield service, connection, profile


async def _loaded(*, quiet: bool) -> tuple[GazetteerService, str, CityProfile]:
    """The dictionary, and what others need to use it on connections of their own."""
    async with _opened(quiet=quiet) as (service, _, profile):
        return service, load_settings().dsn(), profile


async def _match(texts: Sequence[str], *, quiet: bool) -> list[dict[str, Any]]:
    async with _opened(quiet=quiet) as (service, connection, profile):
        registry = await load_registry_async(connection)
        return await geocode(
            service, lent(connection), SYSTEM, texts, profile=profile, registry=registry
        )


@app.command()
def build(as_json: JsonOption = False) -> None:
    """从数据库建立地名词典并报告内容 / build the dictionary as the service does at start."""

    async def counted() -> dict[str, Any]:
        started = time.perf_counter()
        async with _opened(quiet=as_json) as (service, _, _):
            index = await service.index(SYSTEM)
            kinds = Counter(place.kind for place in index.places)
            return {
                "names": {kind.label: kinds[kind] for kind in Kind if kinds[kind]},
                "seconds": round(time.perf_counter() - started, 2),
            }

    found = asyncio.run(counted())
    names = ", ".join(f"{kind} {count}" for kind, count in found["names"].items())
    emit(found, as_json=as_json, line=f"{names}; {found['seconds']} s")


@app.command("parse")
def parse_text(
    text: Text,
    limit: Annotated[int, typer.Option(min=1, max=8, help="几种读法 / most readings")] = 3,
    as_json: JsonOption = False,
) -> None:
    """解析一个地址，不定位 / take an address apart, without a position; as GET /parse."""
    checked = _checked(text)

    async def read() -> dict[str, Any]:
        async with _opened(quiet=as_json) as (service, _, _):
            index = await service.index(SYSTEM)
            return parse_document(index, read_address(index, checked), limit)

    document = asyncio.run(read())
    emit(document, as_json=as_json, line="\n".join(parse_lines(document)))


@app.command()
def explain(text: Text, as_json: JsonOption = False) -> None:
    """逐步说明匹配过程 / the whole way of an answer: what was changed, read, looked up, weighed."""
    checked = _checked(text)

    async def traced() -> dict[str, Any]:
        async with _opened(quiet=as_json) as (service, connection, profile):
            typed = typed_position(checked, profile, await load_registry_async(connection))
            if typed is not None:
                return typed
            return trace_document(await trace(service, lent(connection), SYSTEM, checked))

    document = asyncio.run(traced())
    if "decision" in document:
        emit(document, as_json=as_json, line="\n".join(trace_lines(document)))
    elif as_json:
        emit(document, as_json=True, line="")
    else:
        say("文中是坐标，不是地址 (a coordinate, not an address)")
        _tell(document)


def _checked(text: str) -> str:
    if not 1 <= len(text) <= MAX_QUERY_LENGTH:
        raise WorkFailed(
            f"地址须为 1 至 {MAX_QUERY_LENGTH} 个字符，收到 {len(text)} 个"
            f" (1 to {MAX_QUERY_LENGTH} characters)"
        )
    return text


@app.command()
def match(text: Text, as_json: JsonOption = False) -> None:
    """匹配一个地址并说明理由 / match one address and explain the answer."""
    document = asyncio.run(_match([_checked(text)], quiet=as_json))[0]
    if as_json:
        emit(document, as_json=True, line="")
        return
    _tell(document)
    if not document["features"]:
        raise WorkFailed(f"没有匹配 {text[:80]!r} (no match)")


def _tell(document: Mapping[str, Any]) -> None:
    console = Console()
    head = document["geocoding"]
    for reason in head.get("explanation", ()):
        console.print(f"{reason['zh']} ({reason['en']})", markup=False)
    if head["ambiguous"]:
        console.print("有多处同样符合，请补充上级区划 (ambiguous: name the county or town)")
    for number, feature in enumerate(document["features"], 1):
        console.print(_explained(number, feature))


def _explained(number: int, feature: dict[str, Any]) -> Table:
    found = feature["properties"]["geocoding"]
    where = "-"
    if feature["geometry"] is not None:
        lon, lat = feature["geometry"]["coordinates"]
        where = f"{lon:.7f}, {lat:.7f} {found['coordsys']} ±{found['error_m']} m"
    title = f"{number}. {found['label']}  [{found['level']}]  {found['score']:.2f}"
    table = Table(title=title, title_justify="left", show_header=False, box=None)
    table.add_row("位置", where, "")
    for component in found["components"]:
        code = component.get("code", "")
        table.add_row(component["title"], f"{component['value']} {code}", component["status"])
    for reason in found["explanation"]:
        table.add_row("", reason["zh"], f"{reason['delta']:+.2f}" if reason["delta"] else "")
    return table


@app.command()
def batch(
    source: Annotated[Path, typer.Argument(help="CSV（UTF-8 或 GB18030）或 xlsx", exists=True)],
    column: Annotated[
        str | None, typer.Option(help="地址列，缺省按常用列名 / column of addresses")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="结果 CSV / result")] = None,
    processes: Annotated[
        int | None, typer.Option(min=1, max=64, help="进程数 / processes; default: one a core")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """匹配一张表 / match a table; adds columns and keeps the rest as it is."""
    try:
        read = read_xlsx if source.suffix.lower() == ".xlsx" else read_csv
        table = read(source.read_bytes())
        place = table.column(column)
    except TableError as wrong:
        raise WorkFailed(f"{source.name}: {wrong}") from wrong
    count = len(table.rows)
    target = out or source.with_name(f"{source.stem}.matched.csv")
    started = time.perf_counter()

    service, dsn, profile = asyncio.run(_loaded(quiet=as_json))
    levels: Counter[str] = Counter()
    texts = ([str(row[place] or "")[:200] for row in piece] for piece in pieces(table, _CHUNK))
    with (
        target.open("w", encoding="utf-8-sig", newline="") as file,
        progress(quiet=as_json) as bar,
    ):
        writer = csv.writer(file)
        writer.writerow((*table.heading, *MATCH_COLUMNS))
        task = bar.add_task("match", total=count)
        matched = match_in_processes(service, dsn, profile, texts, processes)
        for piece, results in zip(pieces(table, _CHUNK), matched, strict=True):
            for row, result in zip(piece, results, strict=True):
                levels[str(result["level"] or "-")] += 1
                writer.writerow((*row, *(result[name] for name in MATCH_COLUMNS)))
            bar.advance(task, len(piece))
    seconds = time.perf_counter() - started
    summary = {"rows": count, "levels": dict(levels), "seconds": round(seconds, 2)}
    counted = ", ".join(f"{level} {count}" for level, count in levels.most_common())
    emit(summary, as_json=as_json, line=f"{count} rows: {counted}; {seconds:.1f} s")
    if not as_json:
        say(str(target))
