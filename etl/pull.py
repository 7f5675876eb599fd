"""Deliveries that name a running service instead of a file: the keys of `files: [{url: …}]`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, get_args

import psycopg

from etl.readers.http import SECRET_PREFIX, Credentials
from etl.readers.pull import KINDS, AxisOrder, Pull, is_service

PULL_KEYS = (
    "url", "layer", "since", "since_column", "credentials", "version", "output", "crs",
    "axis_order",
)  # fmt: skip
LAST_RUN = "last run"
OVERLAP = dt.timedelta(hours=1)
"""How far before the last run changes are asked for again: clocks differ, and what was written
but not committed then comes now. Rows that come twice change nothing."""
_CREDENTIAL_KEYS = ("user", "password", "token", "header")


class PullError(ValueError):
    """A key of a pull that is wrong: `key` and a sentence, zh first."""

    def __init__(self, key: str, sentence: str) -> None:
        self.key, self.sentence = key, sentence
        super().__init__(f"{key}: {sentence}")


def parse_pull(file: Mapping[str, Any]) -> Pull:
    """The pull of a `files` entry with `url`; PullError names the key at fault."""
    unknown = [str(key) for key in file if key not in PULL_KEYS]
    if unknown:
        known = ", ".join(PULL_KEYS)
        raise PullError(
            unknown[0], f"服务不用这个键，可用 (unknown key of a service; known: {known})"
        )
    url = str(file["url"]).strip()
    if not is_service(url):
        listed = ", ".join([*(f"{kind}+https://…" for kind in KINDS), "postgresql://…?table="])
        raise PullError("url", f"服务地址须为其一 (a service URL is one of): {listed}")
    since = file.get("since")
    last = isinstance(since, str) and since.strip().lower().replace("_", " ") == LAST_RUN
    return Pull(
        url=url,
        since=None if since is None or last else _moment(since),
        since_last_run=last,
        since_column=_text(file, "since_column"),
        credentials=_credentials(file.get("credentials")),
        version=_one_of(file, "version", ("2.0.0", "1.1.0")),
        output=_one_of(file, "output", ("gml", "geojson")) or "gml",  # type: ignore[arg-type]
        crs=_text(file, "crs"),
        axis_order=_one_of(file, "axis_order", get_args(AxisOrder)),  # type: ignore[arg-type]
    )


def unseen(pull: Pull) -> tuple[str, ...]:
    """What the report of a pull must say: since when it asked, and that deletes are not seen."""
    if not pull.partial:
        return ()
    if pull.since is None:
        return (
            "首次取数，整体取；以后只取变化 (the first pull takes everything, later ones changes)",
        )
    at = pull.since.astimezone(dt.UTC).isoformat(timespec="seconds")
    return (
        f"只取 {at} 以后的变化。服务里已删除的要素取不到，仍留在库中；请定期另用 mode: full "
        f"整体取一次 (only changes since then: what the service deleted is not seen and stays; "
        f"pull everything with mode: full from time to time)",
    )


def last_success(
    connection: psycopg.Connection[Any], delivery: str, layer: str
) -> dt.datetime | None:
    """When the last successful run of a delivery into a layer began, less OVERLAP; None: never."""
    row = connection.execute(
        """
        SELECT max(started_at) FROM catalog.run
        WHERE delivery = %s AND layer = %s AND status IN ('succeeded', 'unchanged')
        """,
        [delivery, layer],
    ).fetchone()
    return None if row is None or row[0] is None else row[0] - OVERLAP


def _text(file: Mapping[str, Any], key: str) -> str | None:
    value = file.get(key)
    if value is None:
        return None
    if isinstance(value, bool | Mapping | list) or not str(value).strip():
        raise PullError(key, f"须为文字 (must be text, got {value!r})")
    return str(value).strip()


def _one_of(file: Mapping[str, Any], key: str, known: tuple[str, ...]) -> str | None:
    value = _text(file, key)
    if value is not None and value not in known:
        raise PullError(key, f"须为其一 (must be one of): {', '.join(known)}")
    return value


def _moment(value: Any) -> dt.datetime:
    """A time with its offset; YAML gives an aware time for `…+08:00`."""
    found = value
    if isinstance(value, str):
        try:
            found = dt.datetime.fromisoformat(value.strip())
        except ValueError:
            found = None
    if not isinstance(found, dt.datetime) or found.tzinfo is None:
        raise PullError(
            "since",
            f"须为 {LAST_RUN}，或带时区的时间，如 2026-11-01T00:00:00+08:00 "
            f"(must be `{LAST_RUN}` or a time with its offset, got {value!r})",
        )
    return found


def _credentials(value: Any) -> Credentials | None:
    if value is None:
        return None
    if not isinstance(value, Mapping) or not set(value) <= set(_CREDENTIAL_KEYS):
        raise PullError(
            "credentials", f"须为键值表 (a mapping with): {', '.join(_CREDENTIAL_KEYS)}"
        )
    named = {str(k): str(v) for k, v in value.items()}
    if ("token" in named) == ("password" in named):
        raise PullError(
            "credentials", "须为 user 和 password，或 token (user and password, or token)"
        )
    for key in ("user", "password", "token"):
        if key in named and not named[key].startswith(SECRET_PREFIX):
            raise PullError(
                f"credentials.{key}",
                f"写环境变量名，以 {SECRET_PREFIX} 开头，不写密码本身 (the name of an environment "
                f"variable that begins with {SECRET_PREFIX}, never the secret itself)",
            )
    return Credentials(**named)
