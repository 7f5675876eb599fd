"""`geoserver-py demo`: the sample city, synthetic, from its files to the running service."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from geoserver_py.cli import up
from geoserver_py.cli.output import JsonOption, emit

app = typer.Typer(help="示范城市 / the synthetic sample city", no_args_is_help=True)
app.command("up")(up.up)
app.command("prepare")(up.prepare)


@app.command()
def build(
    out: Annotated[Path, typer.Option("--out", help="目标文件夹 / folder to write to")],
    seed: Annotated[int, typer.Option(min=0, help="随机种子 / seed")] = 20261122,
    scale: Annotated[float, typer.Option(help="规模 / size; 1 = 20 000 buildings")] = 1.0,
    as_json: JsonOption = False,
) -> None:
    """生成示范城市的交付 / write the deliveries of the synthetic sample city."""
    from geoserver_py.sample_city import build_sample_city  # pandas and GDAL, for this one only

    began = time.monotonic()
    summary = build_sample_city(out, seed, scale)
    report = {
        "folder": str(summary.folder),
        "features": summary.features,
        "deliveries": [str(path) for path in summary.deliveries],
        "faulty": [str(path) for path in summary.faulty],
        "seconds": round(time.monotonic() - began, 2),
    }
    total = sum(summary.features.values())
    line = (
        f"{summary.folder}: {total} 个模拟要素 synthetic features,"
        f" {len(summary.deliveries)} deliveries ({report['seconds']} s)"
    )
    emit(report, as_json=as_json, line=line)
