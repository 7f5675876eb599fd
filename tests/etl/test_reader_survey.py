"""Point files of the field and the land survey TXT: axes told by the numbers, never guessed."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.datum import DatumRegistry
from etl.datum.errors import DatumRefused
from etl.readers import ReadError, ReadOptions, open_source
from etl.readers.survey import FIRST, SECOND, AmbiguousAxesError

CASS = "1,GCD,410413.240,2687537.854,78.51\r\n2,,410513.240,2687537.854,78.55\r\n"
RTK = "G1,2687537.854,410413.240,78.51\r\nG2,2687537.854,410513.240,78.55\r\n"
TRUTH = np.array([(410413.24, 2687537.854, 78.51), (410513.24, 2687537.854, 78.55)])


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def only_batch(path: Path, options: ReadOptions | None = None):
    (batch,) = open_source(path, options).batches()
    return batch


@pytest.mark.parametrize("name", ["points.dat", "points.txt"])
@pytest.mark.parametrize("text", [CASS, RTK, CASS.replace(",", "\t"), f"2\r\n{CASS}"])
def test_cass_and_rtk_files_give_the_same_metres(tmp_path, name, text):
    batch = only_batch(write(tmp_path / name, text))
    got = shapely.get_coordinates(batch.geometry, include_z=True)
    assert np.array_equal(got, TRUTH)
    assert batch.problems == ()


def test_codes_and_point_numbers_stay_text(tmp_path):
    batch = only_batch(write(tmp_path / "a.dat", CASS.replace("GCD", "高程点"), "gb18030"))
    assert batch.attributes.column("点号").to_pylist() == ["1", "2"]
    assert batch.attributes.column("编码").to_pylist() == ["高程点", ""]
    rtk = only_batch(write(tmp_path / "b.dat", "12E3,2687537.854,410413.240,78.51,路灯\n"))
    assert rtk.attributes.to_pylist()[0]["编码"] == "路灯"
    assert rtk.attributes.to_pylist()[0]["点号"] == "12E3"


@pytest.mark.parametrize("count", [3, 3000])
@pytest.mark.parametrize("east_first", [True, False])
@pytest.mark.parametrize("prefix", [0, 39_000_000, 20_000_000])
def test_size_and_zone_prefix_do_not_matter(tmp_path, count, east_first, prefix):
    rng = np.random.default_rng(20261122)
    east = 410_000 + rng.uniform(0, 9000, count).round(3) + prefix
    north = 2_687_000 + rng.uniform(0, 9000, count).round(3)
    lines = [
        f"{i},,{e:.3f},{n:.3f},78.5" if east_first else f"{i},{n:.3f},{e:.3f},78.5"
        for i, (e, n) in enumerate(zip(east, north, strict=True))
    ]
    batch = only_batch(write(tmp_path / "a.dat", "\n".join(lines)))
    got = shapely.get_coordinates(batch.geometry)
    assert np.abs(got - np.column_stack([east, north])).max() < 1e-6


@pytest.mark.parametrize(
    "text",
    [
        "1,GCD,10413.240,87537.854,78.51\n2,,10513.240,87537.854,78.55\n",  # 大数 removed
        "G1,87537.854,10413.240,78.51\nG2,87537.854,10513.240,78.55\n",
        "1,,116.12,24.29,1.0\n2,,117.1,25.2,1.1\n",  # a site grid may hold 116 and 24 metres
        "1,,410413.24,510413.24,1.0\n2,,410413.25,510413.26,1.1\n",
        CASS.splitlines()[0] + "\n2,,2687537.854,410513.240,78.55\n",  # one of each
    ],
)
def test_undecidable_axes_are_said_and_answered_in_the_delivery(tmp_path, text):
    path = write(tmp_path / "a.dat", text)
    with pytest.raises(AmbiguousAxesError, match=r"分不出.*do not tell east from north"):
        open_source(path)
    first = [float(v) for v in text.split("\n")[0].split(",")[-3:-1]]
    east = only_batch(path, ReadOptions(x=FIRST, y=SECOND))
    north = only_batch(path, ReadOptions(x=SECOND, y=FIRST))
    assert east.geometry[0].coords[0][:2] == tuple(first)
    assert north.geometry[0].coords[0][:2] == tuple(reversed(first))
    with pytest.raises(ReadError, match="its coordinate columns are"):
        open_source(path, ReadOptions(x="东", y="北"))


def test_a_row_against_the_file_is_a_problem_not_a_point(tmp_path):
    path = write(
        tmp_path / "a.dat", CASS + "3,,2687537.854,410613.240,78.6\n4,,缺,1.0,2.0\n" + CASS
    )
    batch = only_batch(path)
    assert [p.row for p in batch.problems] == [4, 3]
    assert [g is None for g in batch.geometry] == [False, False, True, True, False, False]


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_points_or_a_reason(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("bytes") / "a.dat"
    path.write_bytes(data)
    with contextlib.suppress(ReadError):
        for batch in open_source(path).batches():
            assert len(batch.rows) == len(batch.geometry)


def test_a_table_with_a_header_is_no_point_file(tmp_path):
    path = write(tmp_path / "a.txt", "点号,X,Y,高程\n1,2687537.854,410413.24,78.51\n")
    source = open_source(path)
    assert source.info.driver == "CSV"
    assert only_batch(path).geometry[0].coords[0] == tuple(TRUTH[0])


HEADER = """[属性描述]
格式版本号=1.01
数据产生单位=梅州市自然资源局
数据产生日期=2026-11-22
坐标系=2000国家大地坐标系
几度分带=3
投影类型=高斯克吕格
计量单位=米
带号=39
精度=0.001
转换参数=,,,,,,
[地块坐标]
"""
SQUARE = """5,1.0000,1,示例地块,面,,住宅用地,,@
J1,1,2687537.854,39410413.240
J2,1,2687537.854,39410513.240
J3,1,2687437.854,39410513.240
J4,1,2687437.854,39410413.240
J1,1,2687537.854,39410413.240
"""
HOLE = """J5,2,2687517.854,39410433.240
J6,2,2687517.854,39410453.240
J7,2,2687497.854,39410453.240
J8,2,2687497.854,39410433.240
J5,2,2687517.854,39410433.240
"""


def plots(tmp_path: Path, text: str, encoding: str = "utf-8"):
    source = open_source(write(tmp_path / "报盘.txt", text, encoding))
    (batch,) = source.batches()
    return source, batch


def test_the_reference_plot(tmp_path):
    source, batch = plots(tmp_path, HEADER + SQUARE)
    assert source.layer.declared_crs == "EPSG:4527"
    assert batch.geometry[0].bounds == (39410413.24, 2687437.854, 39410513.24, 2687537.854)
    record = batch.attributes.to_pylist()[0]
    assert record["地块名称"] == "示例地块"
    assert record["地块用途"] == "住宅用地"
    assert (record["地块面积_公顷"], record["图形面积_公顷"]) == ("1.0000", "1.0000")
    assert source.info.notes == ()
    # the same metres as 4548, by the datum registry
    registry = DatumRegistry()
    chain = registry.chain(source.layer.declared_crs)
    x, y = np.array([39410413.24]), np.array([2687537.854])
    lon, lat = chain.apply(x, y)[:2]
    assert (lon[0], lat[0]) == pytest.approx((116.1176, 24.2886), abs=1e-8)


VARIANTS = {
    "gbk": (lambda t: t.replace("\n", "\r\n"), "gb18030", "EPSG:4527"),
    "brackets": (lambda t: t.replace("[", "【").replace("]", "】"), "gb18030", "EPSG:4527"),
    "no parameters": (lambda t: t.replace("转换参数=,,,,,,\n", ""), "utf-8", "EPSG:4527"),
    "no prefix": (lambda t: t.replace(",39410", ",410"), "utf-8", "EPSG:4548"),
    "empty zone": (lambda t: t.replace("带号=39", "带号="), "utf-8", "EPSG:4527"),
    "six degrees": (
        lambda t: t.replace(",39410", ",20410").replace("带号=39", "带号=20").replace(
            "几度分带=3", "几度分带=6"), "utf-8", "EPSG:4498"),
    "not closed": (lambda t: t.rsplit("J1,", 1)[0], "utf-8", "EPSG:4527"),
    "12 fields": (lambda t: t.replace(",,@", ",0101,2,3,备注,甲@"), "utf-8", "EPSG:4527"),
    "14 fields": (lambda t: t.replace(",,@", ",0101,2,3,备注,甲,乙,@"), "utf-8", "EPSG:4527"),
    "xian": (lambda t: t.replace("2000国家大地坐标系", "1980西安坐标系"), "utf-8", "EPSG:2363"),
    "beijing": (lambda t: t.replace("2000国家大地坐标系", "1954北京坐标系"), "utf-8", "EPSG:2415"),
    "no zone": (
        lambda t: t.replace("带号=39", "带号=").replace(",39410", ",410"), "utf-8", None),
    "conflict": (lambda t: t.replace("带号=39", "带号=38"), "utf-8", None),
    "unknown datum": (lambda t: t.replace("2000国家大地坐标系", "地方坐标系"), "utf-8", None),
}  # fmt: skip


@pytest.mark.parametrize("variant", VARIANTS)
def test_header_variants(tmp_path, variant):
    change, encoding, declared = VARIANTS[variant]
    source, batch = plots(tmp_path, change(HEADER + SQUARE), encoding)
    assert source.layer.declared_crs == declared
    assert batch.geometry[0].area == pytest.approx(10_000, abs=1e-6)
    assert batch.problems == ()
    if declared is None:
        assert source.info.notes


def test_xian_80_is_refused_downstream_without_parameters(tmp_path):
    source, _ = plots(tmp_path, HEADER.replace("2000国家大地坐标系", "西安80") + SQUARE)
    with pytest.raises(DatumRefused):
        DatumRegistry().chain(source.layer.declared_crs)


def test_several_plots_holes_and_wrong_areas(tmp_path):
    second = SQUARE.replace("1.0000,1", "0.9000,2").replace("2687", "2688").replace("面", "面")
    source, batch = plots(tmp_path, HEADER + SQUARE + HOLE + second)
    assert len(batch.geometry[0].interiors) == 1
    assert batch.geometry[0].area == pytest.approx(9600)
    assert batch.attributes.column("地块编号").to_pylist() == ["1", "2"]
    wrong = [note for note in source.info.notes if "公顷" in note]
    assert len(wrong) == 2  # 1.0000 against 0.9600 with the hole, 0.9000 against 1.0000
    assert "0.9000 ha stated, its rings enclose 1.0000 ha" in wrong[1]
    assert batch.rows.tolist() == [13, 24]


def test_a_ring_outside_the_first_is_another_part(tmp_path):
    far = HOLE.replace("2687", "2689")
    _, batch = plots(tmp_path, HEADER + SQUARE + far)
    assert batch.geometry[0].geom_type == "MultiPolygon"


def test_some_eastings_with_prefix_and_some_without(tmp_path):
    second = SQUARE.replace(",39410", ",410").replace("2687", "2688")
    source, batch = plots(tmp_path, HEADER + SQUARE + second)
    assert source.layer.declared_crs == "EPSG:4548"
    assert [g.bounds[0] for g in batch.geometry] == pytest.approx([410413.24] * 2, abs=1e-6)
    assert any("taken off" in note for note in source.info.notes)


def test_broken_plots_are_problems(tmp_path):
    swapped = """4,1.0,3,倒,面,,,,@
J1,1,410413.240,2687537.854
J2,1,410513.240,2687537.854
J3,1,410513.240,2687437.854
"""
    text = HEADER + SQUARE + "3,1.0,2,坏,面,,,,@\nJ1,1,26875x,39410413.2\n" + swapped
    _, batch = plots(tmp_path, text)
    assert [g is None for g in batch.geometry] == [False, True, True]
    assert "no boundary point" in batch.problems[0].reason
    assert "wrong way round" in batch.problems[1].reason
    with pytest.raises(ReadError, match="no plot"):
        plots(tmp_path, HEADER)
    with pytest.raises(ReadError, match="before any plot line"):
        plots(tmp_path, HEADER + "J1,1,2687537.854,39410413.240\n")
