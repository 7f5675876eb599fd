"""Words for what a part of an address is and how precise an answer is.

``Kind`` are the components of an address (GB/T 35639-2017, 6: division, street or estate, door
plate, unit and room). ``Level`` is the precision of an answer in the vocabulary of the AMap
geocoder (its list of December 2023), which integrators in China know by heart.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum


class Kind(IntEnum):
    """Component of an address, from coarse to fine."""

    PROVINCE = 1
    CITY = 2
    COUNTY = 3
    TOWN = 4
    VILLAGE = 5
    GROUP = 6
    ROAD = 7
    ESTATE = 8
    POI = 9
    NUMBER = 10
    BUILDING = 11
    UNIT = 12
    FLOOR = 13
    ROOM = 14
    NOTE = 15

    @property
    def label(self) -> str:
        """Lower-case name that answers carry, e.g. ``county``."""
        return self.name.lower()

    @property
    def zh(self) -> str:
        """The word for people."""
        return _ZH[self]

    @property
    def is_division(self) -> bool:
        """Whether it is a level of the administrative hierarchy."""
        return self <= Kind.VILLAGE


_ZH = {
    Kind.PROVINCE: "省",
    Kind.CITY: "市",
    Kind.COUNTY: "区县",
    Kind.TOWN: "镇街",
    Kind.VILLAGE: "村社区",
    Kind.GROUP: "组",
    Kind.ROAD: "街路巷",
    Kind.ESTATE: "小区院落",
    Kind.POI: "兴趣点",
    Kind.NUMBER: "门牌号",
    Kind.BUILDING: "楼栋",
    Kind.UNIT: "单元",
    Kind.FLOOR: "楼层",
    Kind.ROOM: "户室",
    Kind.NOTE: "附注",
}


class Level(StrEnum):
    """Precision of an answer; the words of AMap's list, and 坐标 for a typed coordinate."""

    COORDINATE = "坐标"
    ROOM = "房间"
    FLOOR = "楼层"
    UNIT = "单元号"
    NUMBER = "门牌号"
    POI = "兴趣点"
    ESTATE = "住宅区"
    CROSSING = "道路交叉路口"
    ROAD = "道路"
    VILLAGE = "村庄"
    TOWN = "乡镇"
    COUNTY = "区县"
    CITY = "市"
    PROVINCE = "省"
    UNKNOWN = "未知"


DIVISION_LEVEL = {
    Kind.PROVINCE: Level.PROVINCE,
    Kind.CITY: Level.CITY,
    Kind.COUNTY: Level.COUNTY,
    Kind.TOWN: Level.TOWN,
    Kind.VILLAGE: Level.VILLAGE,
}

CODE_LENGTH = {2: Kind.PROVINCE, 4: Kind.CITY, 6: Kind.COUNTY, 9: Kind.TOWN, 12: Kind.VILLAGE}
"""Digits of a division code by level: GB/T 2260 (2, 4, 6), GB/T 10114 (9), statistics (12)."""

GEOCODEJSON_TYPE = {
    Level.COORDINATE: "house",
    Level.ROOM: "house",
    Level.FLOOR: "house",
    Level.UNIT: "house",
    Level.NUMBER: "house",
    Level.POI: "house",
    Level.ESTATE: "locality",
    Level.CROSSING: "street",
    Level.ROAD: "street",
    Level.VILLAGE: "locality",
    Level.TOWN: "district",
    Level.COUNTY: "county",
    Level.CITY: "city",
    Level.PROVINCE: "state",
    Level.UNKNOWN: "locality",
}
"""GeocodeJSON 0.1.0 ``type`` of each level."""


class Status(StrEnum):
    """Where a component's value comes from: typed so, put right, or added by the gazetteer."""

    ORIGINAL = "original"
    CORRECTED = "corrected"
    COMPLETED = "completed"
    UNMATCHED = "unmatched"
