"""How accurate a layer was found to be is part of what the service says of it."""

from __future__ import annotations

import httpx

from geoserver_py.sample_city.deliveries import CHECK_NOISE_M, CHECK_POINTS


def test_a_collection_tells_the_rmse_at_its_check_points(client: httpx.Client) -> None:
    accuracy = client.get("/collections/building").json()["positionalAccuracy"]
    (check,) = accuracy["checkPoints"]
    assert check["count"] == CHECK_POINTS
    assert 0.1 < check["rmse_m"] < 0.2  # noise of 0.1 m east and north: 0.14 m
    assert check["rmse_m"] < accuracy["required_m"]
    assert abs(check["mean_east_m"]) < CHECK_NOISE_M / 2
    assert all(step["kind"] != "check_points" for step in accuracy["datumSteps"])
    page = client.get("/collections/building", params={"f": "html"}).text
    assert "检查点中误差" in page
    assert f"{check['rmse_m']:.3f} m" in page


def test_a_collection_without_check_points_has_none(client: httpx.Client) -> None:
    accuracy = client.get("/collections/road").json()["positionalAccuracy"]
    assert accuracy["checkPoints"] == []
