"""What a delivery file names besides its files: the city, and datum parameters of its own."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from etl.datum import DatumError, DatumRegistry
from etl.delivery import DeliveryError
from layers.city import CityProfile, load_city


def city_of(delivery: Path, name: str) -> CityProfile:
    """The profile that a delivery file names; DeliveryError where there is none."""
    try:
        return load_city(name)
    except FileNotFoundError as missing:
        raise DeliveryError(f"{delivery.name}: city: {missing}") from missing


def parameters_of(delivery: Path, parameters: Path | None) -> DatumRegistry:
    """The steps that a delivery brings along, beside those registered in the database.

    DeliveryError where they cannot be read.
    """
    if parameters is None:
        return DatumRegistry()
    try:
        return DatumRegistry.from_yaml(parameters)
    except (OSError, DatumError) as bad:
        raise DeliveryError(f"{delivery.name}: datum_parameters: {bad}") from bad


def all_cities() -> tuple[CityProfile, ...]:
    """All profiles that we know, to say where a stray row lies."""
    names = (entry.name for entry in (resources.files("layers") / "cities").iterdir())
    return tuple(
        load_city(name.removesuffix(".yaml")) for name in sorted(names) if name.endswith(".yaml")
    )
