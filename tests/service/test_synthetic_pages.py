"""Synthetic data is called so on every page that shows it."""

from __future__ import annotations

import httpx
import pytest


@pytest.mark.parametrize("path", ["/collections/road", "/collections/road/items", "item"])
def test_pages_of_synthetic_features_say_so(client: httpx.Client, path: str) -> None:
    if path == "item":
        found = client.get("/collections/road/items", params={"limit": 1}).json()
        path = f"/collections/road/items/{found['features'][0]['id']}"
    assert "模拟数据" in client.get(path, params={"f": "html"}).text
