"""Address production on a small city in a database: codes, quality, life cycle, packages."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner

from gazetteer.production import cycle, package, quality
from gazetteer.production.assign import assign, check_codes
from gazetteer.production.codes import load_coders
from gazetteer.production.cycle import CycleError, Stage, Task
from geoserver_py.cli.address import app
from geoserver_py.cli.gazetteer import app as gazetteer_app
from layers.access import Principal
from layers.catalogue import load_catalogue
from layers.city import load_city
from layers.definition import load_definitions
from layers.schema import apply
from tests.conftest import MakeDatabase
from tests.gazetteer import city

PROFILE = load_city("meizhou")
CODERS = load_coders(PROFILE.codes)
ADDRESS = load_definitions()["address"]
NEW = {
    "full_address": "广东省梅州市梅江区江南街道嘉应中路16号",
    "county": "梅江区",
    "town": "江南街道",
    "village": "梅江社区",
    "village_code": city.VILLAGE,
    "road": city.ROAD,
    "number": "16号",
}


@pytest.fixture
def connection(database: str) -> Iterator[psycopg.Connection[Any]]:
    city.load(database)
    with psycopg.connect(database) as made:
        yield made


def codes(connection: psycopg.Connection[Any], address: str) -> dict[str, str]:
    return dict(
        connection.execute(
            "SELECT style, code FROM gazetteer.address_code"
            " WHERE address = %s AND retired_at IS NULL",
            [address],
        ).fetchall()
    )


def test_every_address_gets_both_codes_once_and_keeps_them(
    connection: psycopg.Connection[Any],
) -> None:
    ((count,),) = connection.execute("SELECT count(*) FROM layer.address").fetchall()
    first = assign(connection, CODERS.values())
    assert (first.assigned, first.refused) == (2 * count, ())
    before = codes(connection, "A12")
    again = assign(connection, CODERS.values())
    assert (again.assigned, again.kept) == (0, 2 * count)
    assert codes(connection, "A12") == before
    assert check_codes(connection, CODERS.values()) == []
    area = CODERS["area"].decode(before["area"])
    assert area["division"] == city.VILLAGE
    spot = CODERS["coordinate"].decode(before["coordinate"])
    lon, lat = city.plate(12)
    assert abs(float(spot["lon"]) - lon) < 1e-5
    assert abs(float(spot["lat"]) - lat) < 1e-5


def test_a_second_record_of_one_standard_address_gets_no_second_code(
    database: str, connection: psycopg.Connection[Any]
) -> None:
    city.write(
        database, "address", city.address("A12x", *city.plate(12), road=city.ROAD, number="１２号")
    )
    done = assign(connection, CODERS.values())
    assert [(r.address, r.style) for r in done.refused] == [("A12x", "area")]
    assert "A12" in done.refused[0].reason


def test_a_new_address_goes_through_draft_review_and_publication(
    connection: psycopg.Connection[Any],
) -> None:
    opened = cycle.draft(
        connection, ADDRESS, task=Task.CREATE, address="A16", author="甲", properties=NEW,
        position=city.plate(16),
    )  # fmt: skip
    assert opened.stage.standard == "规划"
    assert connection.execute("SELECT FROM layer.address WHERE id = 'A16'").rowcount == 0
    with pytest.raises(CycleError, match="draft"):
        cycle.approve(connection, ADDRESS, CODERS.values(), opened.id, "乙", Principal("乙"))
    cycle.submit(connection, opened.id, "甲")
    cycle.send_back(connection, opened.id, "乙", "请核实门牌")
    cycle.submit(connection, opened.id, "甲")
    with pytest.raises(CycleError, match="author"):
        cycle.approve(connection, ADDRESS, CODERS.values(), opened.id, "甲", Principal("甲"))
    done = cycle.approve(connection, ADDRESS, CODERS.values(), opened.id, "乙", Principal("乙"))
    assert (done.stage, done.stage.standard, done.reviewer) == (Stage.PUBLISHED, "现行", "乙")
    assert [(stage, actor) for _, stage, actor, _ in done.history] == [
        ("draft", "甲"), ("review", "甲"), ("draft", "乙"), ("review", "甲"), ("published", "乙"),
    ]  # fmt: skip
    assert "请核实门牌" in {note for *_, note in done.history}
    row = connection.execute(
        "SELECT number, revision FROM layer.address WHERE id = 'A16'"
    ).fetchone()
    assert row == ("16号", done.layer_revision)
    who = connection.execute(
        "SELECT principal FROM catalog.revision WHERE layer = 'address' AND revision = %s",
        [done.layer_revision],
    ).fetchone()
    assert who == ("乙",)
    assert set(codes(connection, "A16")) == {"area", "coordinate"}


def test_retiring_keeps_the_address_in_history_and_its_codes_are_never_given_again(
    connection: psycopg.Connection[Any],
) -> None:
    assign(connection, CODERS.values())
    before = codes(connection, "A12")
    opened = cycle.draft(connection, ADDRESS, task=Task.RETIRE, address="A12", author="甲")
    cycle.submit(connection, opened.id, "甲")
    cycle.approve(connection, ADDRESS, CODERS.values(), opened.id, "乙", Principal("乙"))
    assert connection.execute("SELECT FROM layer.address WHERE id = 'A12'").rowcount == 0
    kept = connection.execute(
        "SELECT number, operation FROM history.address WHERE id = 'A12'"
    ).fetchall()
    assert kept == [("12号", "delete")]
    assert codes(connection, "A12") == {}
    ((taken,),) = connection.execute(
        "SELECT count(*) FROM gazetteer.address_code WHERE code = ANY (%s)",
        [list(before.values())],
    ).fetchall()
    assert taken == 2


def test_a_change_moves_the_number_and_ends_the_old_codes(
    connection: psycopg.Connection[Any],
) -> None:
    assign(connection, CODERS.values())
    before = codes(connection, "A12")
    properties = {"number": "18号", "full_address": "广东省梅州市梅江区江南街道嘉应中路18号"}
    opened = cycle.draft(
        connection, ADDRESS, task=Task.CHANGE, address="A12", author="甲", properties=properties
    )
    cycle.submit(connection, opened.id, "甲")
    cycle.approve(connection, ADDRESS, CODERS.values(), opened.id, "乙", Principal("乙"))
    row = connection.execute("SELECT number, road FROM layer.address WHERE id = 'A12'").fetchone()
    assert row == ("18号", city.ROAD)
    after = codes(connection, "A12")
    assert after["area"] != before["area"]
    assert after["coordinate"] == before["coordinate"]  # it stands where it stood


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"number": "十六"}, "门牌号写法"),
        ({"village_code": "4414"}, "12 位"),
        ({"road": "人民大道"}, "不含"),
        ({"road": None, "number": None}, "缺街路巷"),
        ({"full_address": "广东省梅州市梅江区江南街道嘉应中路12号", "number": "12号"}, "已属"),
    ],
)
def test_what_is_wrong_with_a_draft_is_said_when_it_is_handed_in(
    connection: psycopg.Connection[Any], changed: dict[str, Any], sentence: str
) -> None:
    opened = cycle.draft(
        connection, ADDRESS, task=Task.CREATE, address="A16", author="甲",
        properties={**NEW, **changed}, position=city.plate(16),
    )  # fmt: skip
    with pytest.raises(CycleError, match=sentence):
        cycle.submit(connection, opened.id, "甲")
    assert cycle.load(connection, opened.id).stage is Stage.DRAFT


def test_cases_that_cannot_be_opened(connection: psycopg.Connection[Any]) -> None:
    def opened(task: Task, address: str, **more: Any) -> cycle.Case:
        return cycle.draft(connection, ADDRESS, task=task, address=address, author="甲", **more)

    with pytest.raises(CycleError, match="exists already"):
        opened(Task.CREATE, "A12", position=city.plate(12))
    with pytest.raises(CycleError, match="no such address"):
        opened(Task.RETIRE, "nothing")
    with pytest.raises(CycleError, match="no such fields"):
        opened(Task.CHANGE, "A12", properties={"colour": "red"})
    with pytest.raises(CycleError, match="position"):
        opened(Task.CREATE, "A16", properties=NEW)
    opened(Task.RETIRE, "A12")
    with pytest.raises(CycleError, match="still open"):
        opened(Task.RETIRE, "A12")


def test_the_report_names_the_faults_that_were_put_in(
    database: str, connection: psycopg.Connection[Any]
) -> None:
    readable = frozenset(load_catalogue(connection).layers)
    before = quality.survey(connection, PROFILE, readable=readable)
    assert "order" not in before.counts
    assert before.counts["road-unknown"] == 2  # 人民路 has no line
    far_lon, far_lat = city.plate(60)
    city.write(
        database,
        "address",
        city.address("bad-form", *city.plate(20), road=city.ROAD, number="西头"),
        city.address("bad-code", *city.plate(22), road=city.ROAD, number="22号",
                     village_code="441402004999"),
        city.address("bad-name", *city.plate(24), road=city.ROAD, number="24号", town="金山街道"),
        city.address("bad-order", *city.plate(31), road=city.ROAD, number="7号"),
        city.address("bad-place", far_lon + 0.004, far_lat, road=city.ROAD, number="60号"),
        city.address("twin", *city.plate(40), road=city.ROAD, number="9号"),
    )  # fmt: skip
    connection.rollback()
    report = quality.survey(connection, PROFILE, readable=readable)
    named = {
        rule: {i for finding in findings for i in finding["ids"]}
        for rule, findings in report.findings.items()
    }
    assert "bad-form" in named["number-form"]
    assert named["division-code"] == {"bad-code"}
    assert "bad-name" in named["division-name"]
    assert "bad-order" in named["order"] | named.get("side", set())
    assert named["outside-town"] == {"bad-place"}
    assert named["duplicate"] == named["repeated"] == {"A9", "twin"}
    assert report.good_share < before.good_share
    page = quality.render_html(report)
    assert "地址质量报告" in page
    assert "bad-order" in page
    assert "http" not in page
    assert json.loads(json.dumps(report.to_json()))["counts"] == report.counts


def test_a_package_carries_addresses_and_codes_into_an_empty_store(
    connection: psycopg.Connection[Any], make_database: MakeDatabase, tmp_path: Path
) -> None:
    assign(connection, CODERS.values())
    connection.commit()
    target = tmp_path / "addresses.zip"
    names = ("广东省", "梅州市")
    manifest = package.export_package(connection, ADDRESS, target, city="meizhou", names=names)
    connection.rollback()
    with zipfile.ZipFile(target) as archive:
        elements = archive.read("elements.csv").decode("utf-8-sig")
    assert "A12,1,11,省,广东省" in elements
    with psycopg.connect(make_database("other_network")) as other:
        apply(other, [ADDRESS])
        done = package.import_package(
            other, ADDRESS, target, city="meizhou", principal=Principal("乙"), full=False
        )
        rows = manifest["files"]
        assert done.layer.inserted == rows["addresses.csv"]["rows"]
        assert done.codes == rows["codes.csv"]["rows"]
        query = "SELECT id, full_address, ST_X(geom), ST_Y(geom) FROM layer.address ORDER BY id"
        ours = connection.execute(query).fetchall()
        theirs = other.execute(query).fetchall()
        for mine, copied in zip(ours, theirs, strict=True):
            assert mine[:2] == copied[:2]
            assert mine[2:] == pytest.approx(copied[2:], abs=1e-9)
        assert codes(other, "A12") == codes(connection, "A12")
        again = package.import_package(
            other, ADDRESS, target, city="meizhou", principal=Principal("乙"), full=True
        )
        assert not again.layer.changed
        assert (again.codes, again.numbers) == (0, 0)


def test_a_damaged_or_foreign_package_changes_nothing(
    connection: psycopg.Connection[Any], tmp_path: Path
) -> None:
    connection.rollback()
    target = tmp_path / "addresses.zip"
    names = ("广东省", "梅州市")
    package.export_package(connection, ADDRESS, target, city="meizhou", names=names)
    with pytest.raises(package.PackageError, match="meizhou"):
        package.read_package(target, city="futian")
    damaged = tmp_path / "damaged.zip"
    with zipfile.ZipFile(target) as source, zipfile.ZipFile(damaged, "w") as out:
        for name in source.namelist():
            text = source.read(name)
            out.writestr(name, text.replace("12号".encode(), "13号".encode(), 1))
    with pytest.raises(package.PackageError, match="hash"):
        package.read_package(damaged, city="meizhou")
    noise = tmp_path / "noise.zip"
    noise.write_bytes(b"PK not a zip")
    with pytest.raises(package.PackageError, match="address package"):
        package.read_package(noise, city="meizhou")


def test_the_command_line_runs_the_cycle_and_the_report(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    city.load(database)
    monkeypatch.setenv("GEOSERVER_PY_DATABASE_URL", database)
    run = CliRunner()

    def ran(*arguments: str) -> str:
        result = run.invoke(app, arguments)
        assert result.exit_code == 0, (arguments, result.output, result.exception)
        return result.output

    assert json.loads(ran("assign", "--json"))["refused"] == []
    assert ran("check") == "0 处不合 faults\n"
    lon, lat = (str(value) for value in city.plate(16))
    ran("draft", "A16", "--as", "甲", "--set", json.dumps(NEW), "--coordsys", "cgcs2000",
        "--lon", lon, "--lat", lat)  # fmt: skip
    ran("submit", "1", "--as", "甲")
    assert "published" in ran("approve", "1", "--as", "乙")
    assert json.loads(ran("list", "--json"))[0]["stage_gbt35639"] == "现行"
    ran("export", str(tmp_path / "a.zip"))
    assert json.loads(ran("import", str(tmp_path / "a.zip"), "--json"))["inserted"] == 0
    page = tmp_path / "report.html"
    result = run.invoke(gazetteer_app, ["report", "--html", str(page), "--json"])
    assert result.exit_code == 0, (result.output, result.exception)
    assert json.loads(result.output)["records"] == 18
    assert "地址质量报告" in page.read_text("utf-8")
