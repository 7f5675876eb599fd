"""House numbers and named places of an OpenStreetMap extract, out of its free tags."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import pyogrio
import shapely

_PLACE_KEYS = ("amenity", "shop", "tourism", "office", "leisure", "historic")
_CATEGORIES = {
    "restaurant": "food", "cafe": "food", "bar": "food", "pub": "food", "fast_food": "food",
    "bank": "finance", "atm": "finance", "school": "education", "university": "education",
    "kindergarten": "education", "college": "education", "library": "culture",
    "hospital": "health", "clinic": "health", "pharmacy": "health", "doctors": "health",
    "dentist": "health", "townhall": "government", "police": "government",
    "courthouse": "government", "embassy": "government", "post_office": "service",
    "place_of_worship": "religious", "theatre": "culture", "cinema": "culture",
    "museum": "culture", "arts_centre": "culture", "hotel": "hotel", "hostel": "hotel",
    "guest_house": "hotel", "parking": "transport", "fuel": "transport",
    "bus_station": "transport",
}  # fmt: skip
_BY_KEY = {"shop": "shopping", "tourism": "scenic", "office": "company", "historic": "scenic"}


def flatten_osm(extract: Path, target: Path) -> None:
    """Write layers `address` and `poi` (points, WGS 84) of an extract to a GeoPackage.

    Points keep their place; of areas a point inside stands for the whole. Skipped when the
    target is newer than the extract.
    """
    if target.is_file() and target.stat().st_mtime >= extract.stat().st_mtime:
        return
    rows: list[dict[str, Any]] = []
    for layer, prefix in (("points", "n"), ("multipolygons", "a")):
        with warnings.catch_warnings():
            # Extracts cut rings at their border: such areas have no geometry and are left out.
            warnings.filterwarnings("ignore", category=RuntimeWarning)
            table = pyogrio.read_dataframe(
                extract, layer=layer, on_invalid="ignore", TAGS_FORMAT="JSON"
            )
        table = table[table.geometry.notna()]
        inside = shapely.point_on_surface(table.geometry.to_numpy())
        for record, place in zip(
            table.drop(columns="geometry").to_dict("records"), inside, strict=True
        ):
            rows.append(_row(record, place, prefix))
    every = gpd.GeoDataFrame(pd.DataFrame(rows), geometry="geometry", crs="EPSG:4326")
    target.unlink(missing_ok=True)
    addresses = every[every["number"].notna() & every["street"].notna()]
    places = every[every["name"].notna() & every["category"].notna()]
    columns = {"address": ["number", "street", "city", "full"], "poi": ["name", "category"]}
    for layer, found in (("address", addresses), ("poi", places)):
        kept = found[["id", *columns[layer], "geometry"]].drop_duplicates("id")
        pyogrio.write_dataframe(kept, target, layer=layer, driver="GPKG")


def _row(record: dict[str, Any], place: Any, prefix: str) -> dict[str, Any]:
    tags = record.pop("other_tags", None)
    if isinstance(tags, str):
        tags = json.loads(tags)
    known = {key: value for key, value in record.items() if isinstance(value, str)}
    merged = known | (tags if isinstance(tags, dict) else {})
    number, street = merged.get("addr:housenumber"), merged.get("addr:street")
    city = merged.get("addr:city")
    key = next((name for name in _PLACE_KEYS if name in merged), None)
    category = None
    if key is not None:
        category = _CATEGORIES.get(merged[key], _BY_KEY.get(key, "other"))
    own = merged.get("osm_id") or f"w{merged.get('osm_way_id')}"
    return {
        "id": f"{prefix}{own}",
        "number": number,
        "street": street,
        "city": city,
        "full": ", ".join(part for part in (f"{street} {number}", city) if part),
        "name": merged.get("name"),
        "category": category,
        "geometry": place,
    }
