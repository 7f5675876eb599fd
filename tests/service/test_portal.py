"""The portal in Chromium: it draws the city, finds places, identifies, and asks no other host."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Request, sync_playwright

from tests.service.conftest import City

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-unsafe-swiftshader",  # WebGL without a graphics card
]
READOUT = "X(北)=2687537.854 Y(东)=410413.240 | 带号39: 39410413.240 | 116°07′03.36″E 24°17′18.96″N"

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not Path(CHROMIUM).exists():
        pytest.skip("no Chromium (.ci/setup.sh tests installs it)")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield launched
        launched.close()


class Visit:
    """An open portal, with what went wrong and whom it asked."""

    def __init__(self, browser: Browser, url: str) -> None:
        # Playwright's own polling needs eval, which the portal's policy forbids
        self.page: Page = browser.new_page(viewport={"width": 1280, "height": 800}, bypass_csp=True)
        self.requests: list[Request] = []
        self.errors: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on(
            "console",
            lambda entry: self.errors.append(entry.text) if entry.type == "error" else None,
        )
        self.page.goto(url)
        self.wait_until_drawn()

    def wait_until_drawn(self) -> None:
        self.page.wait_for_function("globalThis.oneMap?.loaded() && oneMap.areTilesLoaded()")

    def drawn(self, layer: str) -> int:
        """How many features of a source layer the map shows now."""
        count: int = self.page.evaluate(
            "name => oneMap.queryRenderedFeatures().filter(f => f.sourceLayer === name).length",
            layer,
        )
        return count


@pytest.fixture
def visit(browser: Browser, city: City) -> Iterator[Visit]:
    opened = Visit(browser, f"{city.url}/portal/#map=15.5/24.2886/116.1176")
    yield opened
    opened.page.close()


def test_it_draws_the_city_and_asks_no_other_host(visit: Visit, city: City, tmp_path: Path) -> None:
    assert visit.errors == []
    hosts = {re.sub(r"^(blob:)?(\w+://[^/]+).*", r"\2", r.url) for r in visit.requests}
    assert {h for h in hosts if not h.startswith("data:")} == {city.url}
    for layer in ("road", "building", "land_use"):
        assert visit.drawn(layer) > 5, layer
    # drawn pixels, not only a list of features: a blank map has a handful of colours
    picture = visit.page.screenshot(path=tmp_path / "portal.png")
    assert len(picture) > 60_000
    titles = visit.page.locator("#layers label").all_inner_texts()
    assert any(title.startswith("道路") for title in titles)
    assert not any("管线" in title for title in titles)
    assert visit.page.locator("#synthetic").is_visible()


def test_the_browser_itself_would_refuse_another_host(browser: Browser, city: City) -> None:
    page = browser.new_page()
    response = page.goto(f"{city.url}/portal/")
    assert response is not None
    assert "default-src 'self'" in response.headers["content-security-policy"]
    page.wait_for_selector("#layers label")
    page.close()


def test_a_layer_can_be_switched_off_and_on(visit: Visit) -> None:
    visit.page.uncheck("#layer-building")
    visit.page.wait_for_function(
        "!oneMap.queryRenderedFeatures().some(f => f.sourceLayer === 'building')"
    )
    visit.page.check("#layer-building")
    visit.page.wait_for_function(
        "oneMap.queryRenderedFeatures().some(f => f.sourceLayer === 'building')"
    )


@pytest.mark.parametrize(
    "typed",
    [
        "X(北)=2687537.854 Y(东)=410413.240",
        "39410413.240, 2687537.854",
        "116°07′03.36″E 24°17′18.96″N",
        "116.12243233,24.285977(gcj02)",
        READOUT,
    ],
)
def test_the_search_box_takes_coordinates_as_they_are_written(visit: Visit, typed: str) -> None:
    visit.page.fill("#query", typed)
    visit.page.press("#query", "Enter")
    visit.page.wait_for_selector("#card .readout")
    numbers = re.findall(r"[\d.]+", visit.page.inner_text("#card .readout"))
    assert float(numbers[0]) == pytest.approx(2687537.854, abs=0.002)
    assert float(numbers[1]) == pytest.approx(410413.240, abs=0.002)


def test_search_finds_a_village_with_a_rare_character_and_labels_it(visit: Visit) -> None:
    visit.page.fill("#query", "輋𣒍村")
    visit.page.wait_for_selector("#suggestions li")
    assert "輋𣒍村" in visit.page.inner_text("#suggestions li")
    visit.page.press("#query", "ArrowDown")
    visit.page.press("#query", "Enter")
    visit.page.wait_for_selector("#card:not([hidden])")
    visit.page.wait_for_function(
        "oneMap.queryRenderedFeatures().some(f => f.layer.type === 'symbol'"
        " && (f.properties.name ?? '').startsWith('輋𣒍村'))",
        timeout=30_000,
    )
    assert visit.errors == []


def test_a_search_without_result_leaves_no_earlier_place_on_the_map(visit: Visit) -> None:
    visit.page.fill("#query", "116.1176, 24.2886")
    visit.page.press("#query", "Enter")
    visit.page.wait_for_selector("#card:not([hidden])")
    assert visit.page.locator(".maplibregl-marker").count() == 1
    visit.page.fill("#query", "不存在的国度甲乙丙丁")
    visit.page.press("#query", "Enter")
    visit.page.wait_for_selector("text=没有找到这个地方")
    assert visit.page.locator(".maplibregl-marker").count() == 0
    assert visit.page.locator("#card:not([hidden])").count() == 0


def test_click_identifies_place_and_features_with_the_read_out(visit: Visit) -> None:
    visit.page.evaluate("oneMap.jumpTo({center: [116.1176, 24.2886], zoom: 18})")
    visit.wait_until_drawn()
    visit.page.mouse.click(640, 400)
    visit.page.wait_for_selector("#card .readout")
    card = visit.page.inner_text("#card")
    assert "梅江区" in card
    assert re.search(r"X\(北\)=26875\d\d\.\d{3} Y\(东\)=4104\d\d\.\d{3}", card)
    assert "带号39" in card


def test_a_key_shows_the_pipelines_and_a_wrong_one_is_refused(visit: Visit, city: City) -> None:
    visit.page.click("#access summary")
    visit.page.fill("#key", "gsp_wrong")
    visit.page.click("#key-form button")
    visit.page.wait_for_selector("#message:not([hidden])")
    assert "密钥" in visit.page.inner_text("#message")
    visit.page.fill("#key", city.restricted_key)
    visit.page.click("#key-form button")
    visit.page.wait_for_selector("#layer-pipeline_line")
    visit.page.wait_for_function(
        "oneMap.loaded()"
        " && oneMap.queryRenderedFeatures().some(f => f.sourceLayer === 'pipeline_line')",
        timeout=30_000,
    )
    visit.page.wait_for_selector("#drawing", state="hidden")
    # a link carries no key: pages are linked where they open without one
    assert visit.page.locator(".row:has(#layer-road) a").count() == 1
    assert visit.page.locator(".row:has(#layer-pipeline_line) a").count() == 0
