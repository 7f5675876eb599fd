"""What each bureau delivers, in its own format, datum, encoding and words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import shapely

from geoserver_py.sample_city import datums, files
from geoserver_py.sample_city.pipelines import Pipelines
from geoserver_py.sample_city.plane import Geometries, geographic

ISSUE = "2026-11"
CITY = "meizhou"


@dataclass(frozen=True)
class SampleLayer:
    """A layer of the sample city: attributes by row, and shapes in EPSG:4548 or none."""

    frame: pd.DataFrame
    shapes: Geometries | None

    @property
    def drawn(self) -> Geometries:
        """The shapes; TypeError for a table without positions."""
        if self.shapes is None:
            raise TypeError("this layer has no positions")
        return self.shapes


@dataclass(frozen=True)
class SampleCity:
    """All layers by name, and the pipelines with their networks."""

    layers: Mapping[str, SampleLayer]
    pipelines: Pipelines


def write_delivery(
    folder: Path, bureau: str, loads: list[dict[str, Any]], *, parameters: bool = False
) -> None:
    """The delivery file of a bureau, beside its files."""
    document: dict[str, Any] = {
        "delivery": f"meizhou-sample/{ISSUE}/{folder.name}",
        "bureau": bureau,
        "city": CITY,
        "synthetic": True,
    }
    if parameters:
        document["datum_parameters"] = "../datum.yaml"
    heading = f"示范城市的交付，全部为模拟数据。Synthetic sample city: delivery of {folder.name}."
    files.write_yaml(folder / "delivery.yaml", document | {"loads": loads}, heading)


def _xy(shapes: Geometries) -> np.ndarray[Any, np.dtype[np.float64]]:
    return shapely.get_coordinates(shapes)


_DIVISIONS = {
    "division_county": "县级行政区",
    "division_town": "乡级行政区",
    "division_village": "村级行政区",
}


def civil_affairs(city: SampleCity, folder: Path) -> None:
    """Divisions: Shapefiles in GB18030, Xian 1980 with the zone before the easting."""
    loads = []
    for layer, stem in _DIVISIONS.items():
        source = city.layers[layer]
        table = source.frame.rename(columns={"id": "XZQDM", "name": "XZQMC", "parent_code": "SJDM"})
        files.write_vector(
            folder / f"{stem}.shp", stem, table, files.moved(source.drawn, datums.xian80_zone39),
            "EPSG:2363", encoding="GB18030",
        )  # fmt: skip
        # The tool that wrote it left no .cpg: the encoding is only stated in the delivery.
        (folder / f"{stem}.cpg").unlink(missing_ok=True)
        loads.append(
            {
                "layer": layer,
                "files": [{"path": f"{stem}.shp", "encoding": "GB18030"}],
                "coordsys": "epsg:2363",
                "mode": "full",
                "id": {"column": "XZQDM"},
                "fields": {"name": "XZQMC", "parent_code": "SJDM"},
            }
        )
    write_delivery(folder, "民政局", loads, parameters=True)


def statistics(city: SampleCity, folder: Path) -> None:
    """The register of divisions: a table without positions."""
    table = city.layers["division_name"].frame.rename(
        columns={"id": "区划代码", "name": "名称", "level": "级别", "parent_code": "上级代码"}
    )
    words = {"county": "县级", "town": "乡级", "village": "村级"}
    table["级别"] = table["级别"].map(words)
    files.write_csv(folder / "区划名录.csv", table, "gb18030")
    load = {
        "layer": "division_name",
        "files": [{"path": "区划名录.csv", "encoding": "GB18030"}],
        "mode": "full",
        "id": {"column": "区划代码"},
        "fields": {
            "name": "名称",
            "level": {"column": "级别", "map": {word: code for code, word in words.items()}},
            "parent_code": "上级代码",
        },
    }
    write_delivery(folder, "统计局", [load])


def transport(city: SampleCity, folder: Path) -> None:
    """Roads: a Shapefile in UTF-8, EPSG:4527 (zone 39 before the easting)."""
    source = city.layers["road"]
    titles = {
        "id": "DLBH", "name": "DLMC", "class_word": "DLDJ", "lanes": "CDS", "width_m": "LMKD",
    }  # fmt: skip
    table = source.frame.rename(columns=titles)[list(titles.values())]
    files.write_vector(
        folder / "道路中心线.shp", "道路中心线", table, files.moved(source.drawn, datums.zone39),
        "EPSG:4527", encoding="UTF-8",
    )  # fmt: skip
    load = {
        "layer": "road",
        "files": ["道路中心线.shp"],
        "coordsys": "epsg:4527",
        "mode": "full",
        "id": {"column": "DLBH"},
        "fields": {
            "name": "DLMC",
            "road_class": {"column": "DLDJ", "map": ROAD_CLASSES},
            "lanes": "CDS",
            "width_m": "LMKD",
            "one_way": {"value": False},
        },
    }
    write_delivery(folder, "交通运输局", [load])


def water_affairs(city: SampleCity, folder: Path) -> None:
    """Water: a DXF in the local grid; the CAD layer says what a figure is."""
    source = city.layers["water"]
    table = source.frame
    named = zip(table["name"], table["class_word"], strict=True)
    layers = [f"SXSS-{word}-{name}" if name else f"SXSS-{word}" for name, word in named]
    files.write_dxf(
        folder / "水系.dxf", layers, table["id"].tolist(),
        files.moved(source.drawn, datums.local_grid),
    )  # fmt: skip
    names = {layer: (name or None) for layer, name in zip(layers, table["name"], strict=True)}
    classes = dict(zip(layers, table["class_word"], strict=True))
    load = {
        "layer": "water",
        "files": [{"path": "水系.dxf", "layer": "entities"}],
        "coordsys": datums.LOCAL_GRID,
        "mode": "full",
        "id": {"column": "EntityHandle"},
        "fields": {
            "name": {"column": "Layer", "map": names},
            "water_class": {
                "column": "Layer",
                "map": {layer: WATER_CLASSES[word] for layer, word in classes.items()},
            },
        },
    }
    write_delivery(folder, "水务局", [load], parameters=True)


def public_security(city: SampleCity, folder: Path, *, faulty: Path) -> None:
    """Addresses: a table whose column titled east holds the northings.

    The delivery answers the objection with its reason; the one in `faulty` does not, and is
    refused.
    """
    source = city.layers["address"]
    titles = {
        "id": "地址编码", "full_address": "标准地址", "county": "区县", "town": "镇街",
        "village": "村社区", "village_code": "社区代码", "road": "街路巷", "number": "门牌号",
        "estate": "小区院落", "building": "楼栋",
    }  # fmt: skip
    table = source.frame.rename(columns=titles)
    xy = _xy(source.drawn)
    table["东坐标"] = [f"{north:.3f}" for north in xy[:, 1]]
    table["北坐标"] = [f"{east:.3f}" for east in xy[:, 0]]
    files.write_csv(folder / "标准地址.csv", table, "utf-8-sig")
    fields = {name: title for name, title in titles.items() if name != "id"}
    load: dict[str, Any] = {
        "layer": "address",
        "files": [{"path": "标准地址.csv", "encoding": "UTF-8"}],
        "coordsys": "epsg:4548",
        "columns": {"north": "东坐标", "east": "北坐标"},
        "mode": "full",
        "id": {"column": "地址编码"},
        "fields": fields,
        "answers": {
            "datum": "列名与内容相反，已核实：“东坐标”一列实为北坐标（268 万左右），按内容读取。"
            " Titles are swapped; verified: the column titled east holds northings."
        },
    }
    write_delivery(folder, "公安局", [load])
    files.write_csv(faulty / "标准地址.csv", table.head(200), "utf-8-sig")
    wrong = {key: value for key, value in load.items() if key != "answers"} | {
        "columns": {"north": "北坐标", "east": "东坐标"},
        "mode": "append",
    }
    write_delivery(faulty, "公安局", [wrong])


CHECK_POINTS, CHECK_NOISE_M = 40, 0.1


def housing(city: SampleCity, folder: Path) -> None:
    """Buildings: a GeoPackage in EPSG:4548, with corners surveyed again to check them."""
    source = city.layers["building"]
    titles = {
        "id": "FWBH", "name": "JZWMC", "use_word": "YT", "floors": "CS", "height_m": "GD",
        "built_year": "JCNF", "address": "DZ",
    }  # fmt: skip
    files.write_vector(
        folder / "建筑物.gpkg", "建筑物", source.frame.rename(columns=titles), source.drawn,
        "EPSG:4548",
    )  # fmt: skip
    load = {
        "layer": "building",
        "files": [{"path": "建筑物.gpkg", "layer": "建筑物"}],
        "coordsys": "epsg:4548",
        "mode": "full",
        "id": {"column": "FWBH"},
        "fields": {
            "name": "JZWMC",
            "use": {"column": "YT", "map": BUILDING_USES},
            "floors": "CS",
            "height_m": "GD",
            "built_year": "JCNF",
            "address": "DZ",
        },
        "check_points": {
            "file": "检查点.csv",
            "encoding": "UTF-8",
            "coordsys": "epsg:4548",
            "columns": {"north": "X", "east": "Y"},
        },
    }
    corners = _xy(source.drawn)
    rng = np.random.default_rng([len(corners), 11])
    known = corners[rng.choice(len(corners), CHECK_POINTS, replace=False)]
    known = known + rng.normal(0.0, CHECK_NOISE_M, known.shape)
    table = pd.DataFrame({"X": np.round(known[:, 1], 3), "Y": np.round(known[:, 0], 3)})
    files.write_csv(folder / "检查点.csv", table, "utf-8")
    write_delivery(folder, "住房和城乡建设局", [load])


def natural_resources(city: SampleCity, folder: Path) -> None:
    """Land use: a FileGDB in EPSG:4548. Points of interest: GeoJSON in BD-09."""
    plots = city.layers["land_use"]
    titles = {
        "id": "BSM", "class_code": "YDYHFLDM", "class_name": "YDYHFLMC", "plot_no": "DKBH",
        "area_m2": "MJ",
    }  # fmt: skip
    files.write_vector(
        folder / "用地.gdb", "YDYH", plots.frame.rename(columns=titles),
        _multi(plots.drawn), "EPSG:4548", geometry_type="MultiPolygon",
    )  # fmt: skip
    pois = city.layers["poi"]
    table = pois.frame.rename(
        columns={"category_word": "category", "id": "uid", "village_code": "area"}
    )
    files.write_geojson(folder / "兴趣点.geojson", table, datums.bd09(_xy(pois.drawn)))
    loads: list[dict[str, Any]] = [
        {
            "layer": "land_use",
            "files": [{"path": "用地.gdb", "layer": "YDYH"}],
            "coordsys": "epsg:4548",
            "mode": "full",
            "id": {"column": "BSM"},
            "fields": {name: title for name, title in titles.items() if name != "id"},
        },
        {
            "layer": "poi",
            "files": ["兴趣点.geojson"],
            "coordsys": "bd09",
            "mode": "full",
            "id": {"column": "uid"},
            "fields": {
                "name": "name",
                "category": {"column": "category", "map": POI_CATEGORIES},
                "address": "address",
                "village_code": "area",
            },
        },
    ]
    write_delivery(folder, "自然资源局", loads)


def _multi(shapes: Geometries) -> Geometries:
    """Polygons as MultiPolygons: a FileGDB layer holds one type."""
    single = shapely.get_type_id(shapes) == shapely.GeometryType.POLYGON
    made = shapes.copy()
    made[single] = shapely.multipolygons(shapes[single][:, None])
    return np.asarray(made)


def city_management(city: SampleCity, folder: Path) -> None:
    """Cells: GeoPackage in EPSG:4548. Components: CSV in GCJ-02. Events: CSV in WGS 84."""
    cells = city.layers["unit_grid"]
    grid_titles = {
        "id": "标识码", "area_m2": "面积", "initial_date": "初始时间", "land_use": "用地类别",
        "level": "管理等级", "responsible": "责任主体", "responsibility_grid": "责任网格",
        "village_code": "社区代码",
    }  # fmt: skip
    files.write_vector(
        folder / "单元网格.gpkg", "单元网格", cells.frame.rename(columns=grid_titles), cells.drawn,
        "EPSG:4548",
    )  # fmt: skip
    component_titles = {
        "id": "GLBJBSM", "class_code": "类别", "class_code_2013": "原类别", "name": "GLBJMC",
        "department_code": "ZGBMDM", "department": "ZGBMMC", "owner_code": "QSDWDM",
        "owner": "QSDWMC", "grid_code": "SZDYWGBSM", "state_word": "GLBJZT",
        "initial_date": "CSRQ", "change_date": "BGRQ", "data_source": "SJLY",
        "town_code": "SZJDDM", "town": "SZJDMC", "village_code": "SZSQDM", "village": "SZSQMC",
    }  # fmt: skip
    components = city.layers["component"]
    _with_position(
        folder / "管理部件.csv", components.frame.rename(columns=component_titles),
        datums.gcj02(_xy(components.drawn)), "gb18030",
    )  # fmt: skip
    event_titles = {
        "id": "案件编号", "category_code": "事项代码", "name": "事项名称",
        "department_code": "主管部门代码", "department": "主管部门", "place": "事发位置",
        "grid_code": "所在单元网格", "reported_at": "上报时间", "closed_at": "结案时间",
        "state_word": "状态", "source": "来源",
    }  # fmt: skip
    events = city.layers["event"]
    _with_position(
        folder / "案件.csv", events.frame.rename(columns=event_titles),
        geographic(_xy(events.drawn)), "utf-8",
    )  # fmt: skip
    position = {"lon": "经度", "lat": "纬度"}
    loads: list[dict[str, Any]] = [
        {
            "layer": "unit_grid",
            "files": [{"path": "单元网格.gpkg", "layer": "单元网格"}],
            "coordsys": "epsg:4548",
            "mode": "full",
            "id": {"column": "标识码"},
            "fields": {name: title for name, title in grid_titles.items() if name != "id"},
        },
        {
            "layer": "component",
            "files": [{"path": "管理部件.csv", "encoding": "GB18030"}],
            "coordsys": "gcj02",
            "columns": position,
            "mode": "full",
            "id": {"column": "GLBJBSM"},
            "fields": _fields(component_titles, "state", COMPONENT_STATES),
            "accept_accuracy": {
                "metres": 5,
                "reason": "普查 App 只给 GCJ-02，模拟数据，按米级使用。"
                " The survey app gives GCJ-02 only; synthetic, used at metre level.",
            },
        },
        {
            "layer": "event",
            "files": [{"path": "案件.csv", "encoding": "UTF-8"}],
            "coordsys": "wgs84",
            "columns": position,
            "mode": "full",
            "id": {"column": "案件编号"},
            "fields": _fields(event_titles, "state", EVENT_STATES),
        },
    ]
    write_delivery(folder, "城市管理和综合执法局", loads)


def _with_position(path: Path, table: pd.DataFrame, lonlat: Any, encoding: str) -> None:
    table = table.copy()
    table["经度"] = np.char.mod("%.10f", lonlat[:, 0])
    table["纬度"] = np.char.mod("%.10f", lonlat[:, 1])
    files.write_csv(path, table, encoding)


def _fields(titles: Mapping[str, str], coded: str, codes: Mapping[str, str]) -> dict[str, Any]:
    """Field mappings of titles, with the words of `<coded>_word` translated."""
    made: dict[str, Any] = {
        name: title for name, title in titles.items() if name != "id" and not name.endswith("_word")
    }
    made[coded] = {"column": titles[f"{coded}_word"], "map": dict(codes)}
    return made


DELIVERIES: Mapping[str, Callable[[SampleCity, Path], None]] = {
    "civil-affairs": civil_affairs,
    "statistics": statistics,
    "transport": transport,
    "water-affairs": water_affairs,
    "housing": housing,
    "natural-resources": natural_resources,
    "city-management": city_management,
}

# Words of the bureaus, and the codes of layers/codes that they mean.
ROAD_CLASSES = {
    "主干路": "primary", "次干路": "secondary", "支路": "residential", "高速公路": "motorway",
    "国道": "trunk", "省道": "primary",
}  # fmt: skip
WATER_CLASSES = {"河流": "river", "坑塘": "pond"}
BUILDING_USES = {
    "住宅": "residential",
    "商业办公": "commercial",
    "工业": "industrial",
    "农村住宅": "rural",
}
POI_CATEGORIES = {
    word: word
    for word in (
        "shopping", "food", "health", "service", "finance", "hotel", "transport", "education",
        "government", "culture",
    )
}  # fmt: skip
COMPONENT_STATES = {"完好": "完好", "破损": "破损", "丢失": "丢失", "废弃": "废弃", "移除": "移除"}
EVENT_STATES = {
    "已上报": "reported", "待派遣": "pending_dispatch", "待处置": "pending_handle",
    "处置中": "handling", "待核查": "pending_check", "已结案": "closed",
}  # fmt: skip
