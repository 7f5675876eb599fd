"""Pulls from a running service that a delivery names by its URL: nothing else is ever fetched.

`wfs+https://host/ows`, `oapif+https://host/api`, `arcgis+https://host/…/FeatureServer/0` and
`postgresql://host/database?table=schema.table`. Every page is fetched, each with a time limit; a
service that repeats a page or returns less than it counted is an error, never a smaller data set.
`since` asks only for what changed, where the service can say so.
"""

from __future__ import annotations

import datetime as dt

from etl.readers.arcgis import ArcgisSource
from etl.readers.http import ServiceError, Web, checked
from etl.readers.model import ReadOptions, Source
from etl.readers.oapif import FeaturesSource
from etl.readers.postgres import open_table_url
from etl.readers.pull import KINDS, TABLE_SCHEMES, Pull, is_service
from etl.readers.wfs import WfsSource


def open_service(text: str, options: ReadOptions, since: dt.datetime | None = None) -> Source:
    """Open a service URL; `since` (with an offset) asks for what changed at or after it."""
    return open_pull(Pull(text, since), options)


def open_pull(pull: Pull, options: ReadOptions) -> Source:
    """Open what a delivery asks of a service; ServiceError or ReadError, zh first."""
    if not is_service(pull.url):
        listed = "、".join([*(f"{kind}+https://…" for kind in KINDS), "postgresql://…"])
        raise ServiceError(
            pull.url, f"服务地址须为 {listed}。", f"a service URL is one of {listed}."
        )
    if pull.since is not None and pull.since.tzinfo is None:
        raise ServiceError(pull.url, "since 须带时区。", "`since` needs an offset.")
    if pull.url.startswith(TABLE_SCHEMES):
        column = None if pull.since is None else pull.since_column  # the first run pulls all
        return open_table_url(pull.url, options, pull.since, column, pull.credentials)
    kind, _, rest = pull.url.partition("+")
    url = checked(rest)
    bearer = "X-Esri-Authorization" if kind == "arcgis" else "Authorization"
    headers = {} if pull.credentials is None else pull.credentials.headers(url, bearer)
    web = Web(url, headers)
    source: Source
    if kind == "arcgis":
        source = ArcgisSource(url, options, web, pull.since, pull.since_column)
    elif kind == "wfs":
        source = WfsSource(
            url,
            options,
            web,
            since=pull.since,
            since_column=pull.since_column,
            version=pull.version,
            output=pull.output,
            crs=pull.crs,
            axis_order=pull.axis_order,
        )
    else:
        source = FeaturesSource(url, options, web, pull.since, pull.since_column, pull.crs)
        if pull.since is not None:
            _ = source.changed  # a service that cannot tell is refused before the run
    _ = source.info
    return source
