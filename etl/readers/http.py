"""Fetching from the one host that a delivery names: bounded in time and size, errors as sentences.

A redirect to another host is refused, and so are URLs inside an answer that lead elsewhere: what a
server says must not decide whom we ask. Credentials come from environment variables whose names
begin with `GEOSERVER_PY_SERVICE_`, so that a delivery cannot send any other secret anywhere.
"""

from __future__ import annotations

import base64
import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import IO, Any

from etl.readers.model import ReadError

TIMEOUT_SECONDS = 60
"""Longest silence of a server."""
ANSWER_SECONDS = 1800
"""Longest time for one answer."""
MAX_PAGE_BYTES = 200_000_000
MAX_ANSWER_BYTES = 4_000_000_000
"""Of an answer that is kept in a file (WFS without paging)."""
MAX_PULL_BYTES = 50_000_000_000
SECRET_PREFIX = "GEOSERVER_PY_SERVICE_"
_CHUNK = 1 << 20


class ServiceError(ReadError):
    """A service that does not answer, or not with what its protocol promises."""

    def __init__(self, url: str, zh: str, en: str) -> None:
        super().__init__(Path(urllib.parse.urlsplit(url).hostname or "service"), zh, en)


@dataclass(frozen=True, slots=True)
class Credentials:
    """Names of environment variables: `user` and `password`, or `token` (sent in `header`)."""

    user: str | None = None
    password: str | None = None
    token: str | None = None
    header: str | None = None

    def value(self, name: str | None, url: str) -> str:
        """What a variable holds; ServiceError for a name not allowed or a variable not set."""
        if name is None or not name.startswith(SECRET_PREFIX):
            raise ServiceError(
                url,
                f"凭据须为环境变量名，以 {SECRET_PREFIX} 开头，收到 {name}。",
                f"credentials are names of environment variables that begin with {SECRET_PREFIX}.",
            )
        found = os.environ.get(name)
        if not found:
            raise ServiceError(
                url, f"没有设置环境变量 {name}。", f"the environment variable {name} is not set."
            )
        return found

    def headers(self, url: str, bearer: str = "Authorization") -> dict[str, str]:
        """HTTP headers; `bearer` is where the protocol wants a token that names no header."""
        if self.token is not None:
            token = self.value(self.token, url)
            return {self.header: token} if self.header else {bearer: f"Bearer {token}"}
        pair = f"{self.value(self.user, url)}:{self.value(self.password, url)}"
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


def checked(url: str) -> str:
    """The URL if it is http(s) with a host and without a password; ServiceError otherwise."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ServiceError(url, "须为 http(s) 地址。", "an http(s) URL is needed.")
    if parts.password is not None:
        raise ServiceError(
            url, "地址里不能写密码。", "a URL in a delivery must not hold a password."
        )
    return url


def with_query(url: str, **values: str | int) -> str:
    """The URL with these query parameters in place of its own of the same name, any case."""
    parts = urllib.parse.urlsplit(url)
    ours = {name.lower() for name in values}
    named = [(k, v) for k, v in urllib.parse.parse_qsl(parts.query) if k.lower() not in ours]
    query = urllib.parse.urlencode([*named, *((k, str(v)) for k, v in values.items())])
    return urllib.parse.urlunsplit(parts._replace(query=query, fragment=""))


def _place(url: str) -> tuple[str | None, int | None]:
    parts = urllib.parse.urlsplit(url)
    return parts.hostname, parts.port


def _leads_away(url: str, known: str) -> bool:
    """Whether a URL leads from `known` to another host or port, or from https to http."""
    bare = url.lower().startswith("http:") and known.lower().startswith("https:")
    return _place(url) != _place(known) or bare


class _SameHost(urllib.request.HTTPRedirectHandler):
    """Redirects stay on the host and port that the delivery names (and may turn to https)."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: Any,
        newurl: str,
    ) -> urllib.request.Request | None:
        if _leads_away(newurl, req.full_url) or not newurl.startswith(("http:", "https:")):
            host = urllib.parse.urlsplit(newurl).hostname
            raise ServiceError(
                req.full_url,
                f"服务转向另一主机 {host} 或不加密的地址，交付未写明，不予访问。",
                f"the service redirects to {host}, a host that the delivery does not name, or "
                f"from https to http.",
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


@dataclass
class Web:
    """All requests of one pull: to the host of `url` only, at most MAX_PULL_BYTES together."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    received: int = 0

    def json(self, url: str) -> Any:
        """The JSON at `url`; ServiceError for any other answer, a time-out, or too large a page."""
        return self.answer(url)[0]

    def answer(self, url: str) -> tuple[Any, Mapping[str, str]]:
        """JSON and headers (names in lower case)."""
        parts: list[bytes] = []
        accept = "application/geo+json, application/json"
        with self._open(url, accept) as response:
            parts.extend(self._chunks(response, url, MAX_PAGE_BYTES))
            headers = {name.lower(): value for name, value in response.headers.items()}
        try:
            return json.loads(b"".join(parts)), headers
        except ValueError as error:
            raise ServiceError(
                url, "服务的回答不是 JSON。", "the service did not answer with JSON."
            ) from error

    def save(self, url: str, path: Path, accept: str = "*/*") -> None:
        """Write the answer into a file."""
        with self._open(url, accept) as response, path.open("wb") as file:
            for chunk in self._chunks(response, url, MAX_ANSWER_BYTES):
                file.write(chunk)

    @contextmanager
    def _open(self, url: str, accept: str) -> Iterator[HTTPResponse]:
        if _leads_away(checked(url), self.url):
            raise ServiceError(
                self.url,
                "服务的链接指向交付未写明的主机，或不加密的地址。",
                "a link of the service leads to a host that the delivery does not name, or from "
                "https to http.",
            )
        request = urllib.request.Request(url, headers={"Accept": accept, **self.headers})
        opener = urllib.request.build_opener(_SameHost)
        try:
            with opener.open(request, timeout=TIMEOUT_SECONDS) as response:
                yield response
        except urllib.error.HTTPError as error:
            raise _refused(url, error) from error
        except TimeoutError as error:
            raise _silent(url) from error
        except (urllib.error.URLError, HTTPException, OSError) as error:
            if isinstance(getattr(error, "reason", None), TimeoutError):
                raise _silent(url) from error
            why = str(getattr(error, "reason", error))
            raise ServiceError(
                url, "服务没有应答或连接中断。", f"the service does not answer ({why})."
            ) from error

    def _chunks(self, response: HTTPResponse, url: str, limit: int) -> Iterator[bytes]:
        began, size = time.monotonic(), 0
        # read1 gives what is there: a server that drips does not get past the limit of time
        while chunk := response.read1(_CHUNK):
            size += len(chunk)
            self.received += len(chunk)
            if size > limit or self.received > MAX_PULL_BYTES:
                most = limit if size > limit else MAX_PULL_BYTES
                raise ServiceError(
                    url,
                    f"回答超过 {most / 1e6:.0f} MB，请缩小范围或分页。",
                    f"the answer is larger than {most / 1e6:.0f} MB.",
                )
            if time.monotonic() - began > ANSWER_SECONDS:
                raise _silent(url)
            yield chunk
        stated = response.headers.get("Content-Length", "")
        if stated.isdigit() and size < int(stated):
            raise ServiceError(
                url,
                f"回答中断：应有 {stated} 字节，只收到 {size}。",
                f"the answer breaks off: {stated} bytes stated, {size} came.",
            )


def _silent(url: str) -> ServiceError:
    return ServiceError(
        url,
        f"服务超过 {TIMEOUT_SECONDS} 秒没有数据，或一个回答超过 {ANSWER_SECONDS // 60} 分钟。",
        f"the service was silent for {TIMEOUT_SECONDS} s, or one answer took longer than "
        f"{ANSWER_SECONDS // 60} min.",
    )


def _refused(url: str, error: urllib.error.HTTPError) -> ServiceError:
    if error.code in (401, 403):
        return ServiceError(
            url,
            f"服务回答 HTTP {error.code}：须登录，请在交付里写 credentials（环境变量名）。",
            f"the service answered HTTP {error.code}: it wants credentials (names of variables).",
        )
    return ServiceError(
        url, f"服务回答 HTTP {error.code}。", f"the service answered HTTP {error.code}."
    )


def complete(url: str, stated: int | None, done: int) -> None:
    """ServiceError when fewer features came than the service counted."""
    if stated is not None and done < stated:
        raise ServiceError(
            url,
            f"服务说有 {stated} 个要素，只取到 {done} 个。",
            f"the service counted {stated} features, {done} came.",
        )
