"""The upload page and the page of all deliveries in Chromium, as a bureau and the centre do."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.conftest import MakeDatabase
from tests.service.desk import Desk, open_desk, packed, stated, table
from tests.service.test_portal import CHROMIUM, FLAGS

pytestmark = pytest.mark.browser
PATIENCE = 60_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not Path(CHROMIUM).exists():
        pytest.skip("no Chromium (.ci/setup.sh tests installs it)")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def desk(make_database: MakeDatabase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with open_desk(make_database("pages"), tmp_path_factory.mktemp("uploads")) as opened:
        yield opened


@pytest.fixture
def page(browser: Browser, desk: Desk) -> Iterator[Page]:
    opened = browser.new_page(viewport={"width": 1280, "height": 900}, bypass_csp=True)
    wrong: list[str] = []
    hosts: set[str] = set()
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("request", lambda r: hosts.add(re.sub(r"^(?:blob:)?(\w+://[^/]+).*", r"\1", r.url)))
    yield opened
    opened.close()
    assert wrong == []
    assert {host for host in hosts if not host.startswith("data:")} == {desk.url}


def enter(page: Page, desk: Desk, key: str) -> None:
    page.goto(f"{desk.url}/portal/deliver/")
    page.fill("#key", key)
    page.click("#key-form button")
    page.wait_for_selector("#desk:not([hidden])")


def give(page: Page, name: str, content: bytes) -> None:
    page.set_input_files("#file", {"name": name, "mimeType": "application/zip", "buffer": content})


def settled(page: Page, state: str) -> None:
    expect(page.locator(f"#current h2 .chip.{state}")).to_be_visible(timeout=PATIENCE)


def test_a_bureau_delivers_files_fills_the_form_and_takes_its_rejects_back(
    page: Page, desk: Desk, tmp_path: Path
) -> None:
    rows = table(*range(1, 25)) + table(25, 26, GLBJZT="坏掉").split(b"\r\n", 1)[1]
    enter(page, desk, desk.key)
    assert "城市管理和综合执法局" in page.inner_text("#who")
    give(page, "部件.zip", packed({"部件.csv": rows}))
    settled(page, "waiting")
    form = page.locator("#statement")
    assert form.locator("select[name=layer]").input_value() == "component"
    assert form.locator("select[name=id]").input_value() == "GLBJBSM"
    assert form.locator("select[name='field:state']").input_value() == "GLBJZT"
    form.locator("select[name=coordsys]").select_option("cgcs2000")
    page.screenshot(path=tmp_path / "form.png", full_page=True)
    page.click("#statement button.main")
    expect(page.locator("#message")).to_contain_text("真实数据或模拟数据")
    page.check("input[name=synthetic][value=true]")
    page.click("#statement button.main")
    settled(page, "done")
    result = page.locator("#result")
    expect(result).to_contain_text("不在代码表中")
    expect(result).to_contain_text("改为代码表中的代码")
    page.screenshot(path=tmp_path / "result.png", full_page=True)
    with page.expect_download(timeout=PATIENCE) as started:
        result.get_by_role("button", name="退回的行").click()
    saved = tmp_path / "rejects.zip"
    started.value.save_as(saved)
    with zipfile.ZipFile(saved) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    mended = files["部件.csv"].decode("gb18030").replace(",坏掉,", ",完好,")
    files["部件.csv"] = mended.encode("gb18030")
    give(page, "退回记录.zip", packed(files))
    expect(page.locator("#current h2")).to_contain_text("退回记录", timeout=PATIENCE)
    settled(page, "done")
    with psycopg.connect(desk.dsn) as connection:
        found = connection.execute("SELECT count(*) FROM layer.component").fetchone()
    assert found == (26,)


def test_an_objection_is_answered_on_the_page(page: Page, desk: Desk, tmp_path: Path) -> None:
    made = stated("城管局/反", columns={"lon": "lat", "lat": "lon"})
    enter(page, desk, desk.key)
    give(page, "反.zip", packed({"部件.csv": table(*range(41, 71)), "delivery.yaml": made}))
    settled(page, "blocked")
    page.screenshot(path=tmp_path / "blocked.png", full_page=True)
    page.fill(".answer textarea", "已核对，列名与内容相反")
    page.click(".answer button.main")
    expect(page.locator("#result")).to_contain_text("答复：已核对", timeout=PATIENCE)


def test_what_cannot_be_used_is_refused_with_a_sentence(page: Page, desk: Desk) -> None:
    page.goto(f"{desk.url}/portal/deliver/")
    page.fill("#key", "gsp_wrong")
    page.click("#key-form button")
    expect(page.locator("#sign-in [role=alert]")).to_contain_text("密钥")
    page.fill("#key", desk.key)
    page.click("#key-form button")
    page.wait_for_selector("#desk:not([hidden])")
    broken = io.BytesIO(packed({"部件.csv": table(1)})).getvalue()[:-40]
    give(page, "坏.zip", broken)
    settled(page, "refused")
    expect(page.locator("#result")).to_contain_text("损坏")


def test_what_broke_off_starts_again_by_a_button(page: Page, desk: Desk) -> None:
    made = stated("城管局/中断")
    number = desk.send(packed({"部件.csv": table(301), "delivery.yaml": made}))
    assert desk.settled(number)["state"] == "done"
    with psycopg.connect(desk.dsn) as connection:  # as its process leaves it when it is killed
        connection.execute(
            "UPDATE catalog.upload SET state = 'running',"
            " updated_at = clock_timestamp() - interval '1 hour' WHERE id = %s",
            [number],
        )
    enter(page, desk, desk.key)
    page.goto(f"{desk.url}/portal/deliver/#{number}")
    page.reload()
    settled(page, "broken")
    page.get_by_role("button", name="重新开始").click()
    settled(page, "done")
    expect(page.locator("#restart")).to_have_count(0)


@pytest.mark.parametrize("path", ["deliveries", "deliver"])
def test_without_a_key_the_pages_say_what_is_needed_and_take_it(
    page: Page, desk: Desk, path: str
) -> None:
    page.goto(f"{desk.url}/portal/{path}/")
    asked = page.locator("#sign-in")
    expect(asked).to_be_visible()
    text = asked.inner_text()
    assert text.startswith("需要交付密钥")
    assert "向地理信息中心申请" in text
    for refused, words in (("gsp_wrong", "密钥"), (desk.reader, "不能交付")):
        page.fill("#key", refused)
        page.click("#key-form button")
        expect(asked.locator("[role=alert]")).to_contain_text(words)
    page.fill("#key", desk.key)
    page.click("#key-form button")
    expect(asked).to_be_hidden()
    expect(page.locator("#who")).to_contain_text("城市管理")


def test_the_centre_sees_all_deliveries_late_ones_first(
    page: Page, desk: Desk, tmp_path: Path
) -> None:
    promises = (("城管局/周报", "7 days", (201,)), ("城管局/月报", "1 month", (202, 203)))
    for name, every, numbers in promises:
        made = stated(name, expected_every=every)
        body = packed({"部件.csv": table(*numbers), "delivery.yaml": made})
        assert desk.settled(desk.send(body))["state"] == "done"
    with psycopg.connect(desk.dsn) as connection:
        connection.execute(
            "UPDATE catalog.run SET finished_at = finished_at - interval '10 days'"
            " WHERE delivery = '城管局/周报'"
        )
    enter(page, desk, desk.admin)
    page.goto(f"{desk.url}/portal/deliveries/")
    first = page.locator("#table tr").nth(1)
    expect(first).to_contain_text("城管局/周报")
    expect(first).to_contain_text("迟交 3 天")
    expect(page.locator("#sums")).to_contain_text("迟交 late")
    page.screenshot(path=tmp_path / "deliveries.png", full_page=True)
    page.check("#only")
    expect(page.locator("#table")).not_to_contain_text("城管局/月报")
    first.locator("summary").click()
    with page.expect_popup() as opened:
        first.get_by_role("button", name="完整报告").click()
    expect(opened.value.locator("h1")).to_contain_text("管理部件", timeout=PATIENCE)
