"""Building the sample city: draw it, then write what the bureaus deliver and the truth."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from geoserver_py.errors import WorkFailed
from geoserver_py.sample_city import datums, files
from geoserver_py.sample_city.core import choose_core
from geoserver_py.sample_city.deliveries import DELIVERIES, SampleCity, SampleLayer, public_security
from geoserver_py.sample_city.faults import FAULTY
from geoserver_py.sample_city.houses import build_houses, points_of_interest
from geoserver_py.sample_city.layout import arrange
from geoserver_py.sample_city.management import components, events, unit_grid
from geoserver_py.sample_city.nature import divisions, land_use, register_table, water
from geoserver_py.sample_city.pipelines import lay_pipelines
from geoserver_py.sample_city.plane import geographic
from geoserver_py.sample_city.register import default_register, read_register
from geoserver_py.sample_city.streets import lay_streets, roads
from geoserver_py.sample_city.survey import pipeline_survey

MARK = "示范城市-模拟数据.txt"
LARGEST_SCALE = 300.0


@dataclass(frozen=True)
class BuildSummary:
    """What was written: features by layer, and the delivery files in the order to run them."""

    folder: Path
    features: dict[str, int]
    deliveries: tuple[Path, ...]
    faulty: tuple[Path, ...]


def draw_city(seed: int, scale: float, register_folder: Path | None = None) -> SampleCity:
    """The whole city in memory; the same seed and scale give the same city.

    `scale` 1 has about 1 000 blocks, 20 000 buildings and 30 000 components. Raises WorkFailed
    for a scale out of range or a missing division register.
    """
    if not 0 < scale <= LARGEST_SCALE:
        raise WorkFailed(
            f"scale {scale}: 须大于 0 且不超过 (must be above 0, up to) {LARGEST_SCALE}"
        )
    register = read_register(register_folder or default_register())
    layout = arrange(register)
    core = choose_core(register, layout, scale, seed)
    sections = lay_streets(core)
    houses = build_houses(core, sections, seed)
    grid = unit_grid(core)
    water_frame, water_shapes, drawn_water = water(core, seed)
    pipes = lay_pipelines(sections, seed)
    layers = {name: SampleLayer(*pair) for name, pair in divisions(register, layout).items()}
    layers |= {
        "division_name": SampleLayer(register_table(register), None),
        "road": SampleLayer(*roads(core, layout, sections)),
        "water": SampleLayer(water_frame, water_shapes),
        "land_use": SampleLayer(*land_use(core, drawn_water)),
        "building": SampleLayer(houses.buildings, houses.shapes),
        "address": SampleLayer(houses.addresses, houses.entrances),
        "poi": SampleLayer(*points_of_interest(core, houses, seed)),
        "unit_grid": SampleLayer(grid.frame, grid.shapes),
        "component": SampleLayer(*components(core, sections, grid, seed)),
        "event": SampleLayer(*events(core, grid, houses.addresses, seed)),
        "pipeline_point": SampleLayer(pipes.points, pipes.point_shapes()),
        "pipeline_line": SampleLayer(pipes.lines, pipes.line_shapes()),
    }
    return SampleCity(layers, pipes)


def build_sample_city(
    folder: Path, seed: int, scale: float, register_folder: Path | None = None
) -> BuildSummary:
    """Write deliveries, datum parameters and truth below `folder`, replacing an earlier build.

    Raises WorkFailed when the folder holds something else.
    """
    city = draw_city(seed, scale, register_folder)
    if folder.exists() and any(folder.iterdir()):
        if not (folder / MARK).is_file():
            raise WorkFailed(f"{folder} 不是示范城市 holds something else: name an empty folder")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).write_text(
        f"模拟数据，不是真实城市。Synthetic data, no real city. seed {seed}, scale {scale}\n",
        "utf-8",
    )
    files.write_yaml(
        folder / "datum.yaml", datums.DATUM_YAML,
        "示范城市的虚构坐标转换参数。Invented parameters of the synthetic sample city.",
    )  # fmt: skip
    made: list[Path] = []
    for name, write in {**DELIVERIES, "pipeline-survey": pipeline_survey}.items():
        made.append(folder / name)
        made[-1].mkdir()
        write(city, made[-1])
    security, faulty = folder / "public-security", folder / "faulty" / "swapped-columns"
    security.mkdir()
    faulty.mkdir(parents=True)
    public_security(city, security, faulty=faulty)
    made.append(security)
    wrong = [faulty]
    for name, spoil in FAULTY.items():
        wrong.append(folder / "faulty" / name)
        wrong[-1].mkdir()
        spoil(wrong[-1])
    truth = folder / "truth"
    truth.mkdir()
    for name, layer in city.layers.items():
        files.write_truth(truth / f"{name}.parquet", _plain(layer.frame), layer.shapes, geographic)
    return BuildSummary(
        folder,
        {name: len(layer.frame) for name, layer in city.layers.items()},
        tuple(path / "delivery.yaml" for path in made),
        tuple(path / "delivery.yaml" for path in wrong),
    )


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Columns as Parquet holds them: texts as texts."""
    return frame.reset_index(drop=True)
