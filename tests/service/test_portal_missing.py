"""The portal where something is missing: WebGL, the catalogue, the style, a program file.

What does not need it works on, and the page says in Chinese first what is missing and what to do.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

from tests.service.conftest import City
from tests.service.test_portal import CHROMIUM, FLAGS

pytestmark = pytest.mark.browser
expect.set_options(timeout=20_000)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not Path(CHROMIUM).exists():
        pytest.skip("no Chromium (.ci/setup.sh browser installs it)")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=CHROMIUM, args=[*FLAGS, "--disable-3d-apis"]
        )
        yield launched
        launched.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    opened = browser.new_page(viewport={"width": 1400, "height": 900}, bypass_csp=True)
    wrong: list[str] = []
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    yield opened
    opened.close()
    assert wrong == []


def refuse(route: Route) -> None:
    route.fulfill(status=503, content_type="application/problem+json", body="{}")


def cut(route: Route) -> None:
    route.abort()


def test_without_webgl_layers_search_and_positions_work(page: Page, city: City) -> None:
    page.goto(f"{city.url}/portal/")
    notice = page.locator("#notice")
    expect(notice).to_contain_text("浏览器没有 WebGL")
    expect(notice).to_contain_text("no WebGL")
    assert re.match(r"[\u4e00-\u9fff]", notice.inner_text()), "Chinese first"
    titles = page.locator("#layers label").all_inner_texts()
    assert any(title.startswith("道路 Roads") for title in titles)
    page.fill("#query", "39410413.240, 2687537.854")
    page.click("#find")
    expect(page.locator("#card .readout")).to_contain_text("X(北)=2687537.854 Y(东)=410413.240")
    page.fill("#query", "輋𣒍村")
    expect(page.locator("#suggestions li").first).to_contain_text("輋𣒍村")
    page.press("#query", "ArrowDown")
    page.press("#query", "Enter")
    expect(page.locator("#card")).to_contain_text("村级行政区")  # what is there, without a click
    page.wait_for_timeout(9000)  # messages go after 8 s; this one stays
    expect(notice).to_be_visible()


def test_layers_are_listed_before_a_tile_has_come(page: Page, city: City) -> None:
    """The list does not wait for the map (under virtual time tiles never come)."""
    page.route("**/tiles/**", lambda _route: None)
    page.goto(f"{city.url}/portal/")
    expect(page.locator("#layers label").first).to_be_visible()


def test_a_catalogue_that_does_not_answer_is_told_with_a_retry(page: Page, city: City) -> None:
    page.route(re.compile(r"/collections\?"), refuse)
    page.goto(f"{city.url}/portal/")
    layers = page.locator("#layers")
    expect(layers).to_contain_text("图层目录没有读到")
    page.unroute(re.compile(r"/collections\?"))
    layers.get_by_role("button", name="重试").click()
    expect(page.locator("#layer-road")).to_be_visible()


@pytest.mark.parametrize("broken", ["refused", "gone"])
def test_a_style_that_does_not_answer_is_told_and_the_list_stays(
    page: Page, city: City, broken: str
) -> None:
    page.route("**/styles/basemap", refuse if broken == "refused" else cut)
    page.goto(f"{city.url}/portal/")
    notice = page.locator("#notice")
    expect(notice).to_contain_text("地图样式没有读到")
    expect(page.locator("#layer-road")).to_be_visible()
    page.unroute("**/styles/basemap")
    notice.get_by_role("button", name="重试").click()
    expect(notice).to_contain_text("WebGL")  # the next thing that is missing in this browser


def test_a_service_that_is_gone_is_told(page: Page, city: City) -> None:
    for path in (re.compile(r"/collections\?"), "**/styles/basemap", f"{city.url}/?lang=zh-CN"):
        page.route(path, cut)
    page.goto(f"{city.url}/portal/")
    expect(page.locator("#layers")).to_contain_text("服务没有应答")
    expect(page.locator("#notice")).to_contain_text("服务没有应答")


@pytest.mark.parametrize("file", ["portal.js", "layers.js"])
def test_a_program_file_that_is_missing_is_told(page: Page, city: City, file: str) -> None:
    page.route(f"**/portal/{file}", cut)
    page.goto(f"{city.url}/portal/")
    expect(page.locator("#notice")).to_contain_text("门户没有启动")
    expect(page.locator("#notice button")).to_be_visible()


def test_a_bare_screenshot_shows_the_layers(city: City, tmp_path: Path) -> None:
    """Chromium alone, with virtual time, as one takes a picture of the page from a shell."""
    if not Path(CHROMIUM).exists():
        pytest.skip("no Chromium (.ci/setup.sh browser installs it)")
    command = [CHROMIUM, "--headless", *FLAGS[:-1], f"--user-data-dir={tmp_path}",
               "--virtual-time-budget=15000", "--dump-dom", f"{city.url}/portal/"]  # fmt: skip
    made = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert 'id="layer-road"' in made.stdout
    assert httpx.get(f"{city.url}/readyz").status_code == 200


def test_a_phone_opens_the_list_by_a_button(browser: Browser, city: City) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto(f"{city.url}/portal/")
    expect(page.locator("#panel")).to_be_hidden()
    page.get_by_role("button", name="图层").click()
    expect(page.locator("#layer-road")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.close()
