"""The portal at /portal/: a map over this service's own interfaces, no file from another host."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

_HERE = Path(str(resources.files("geoserver_py") / "portal"))
_MAPLIBRE = _HERE / "node_modules" / "maplibre-gl" / "dist"

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline';"
    " worker-src 'self' blob:; frame-ancestors 'self'"
)
"""The browser itself refuses whatever would come from another host."""


async def _to_portal(request: Request) -> Response:
    return RedirectResponse(f"{request.scope.get('root_path', '')}/portal/")


class _PortalFiles(StaticFiles):
    def file_response(self, *args: object, **kwargs: object) -> Response:
        response = super().file_response(*args, **kwargs)  # type: ignore[arg-type]
        response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
        response.headers["Cache-Control"] = "no-cache"  # ETag decides; an update shows at once
        return response


def portal_routes() -> list[BaseRoute]:
    """Routes of the portal's files; the map library is served from the npm package."""
    return [
        Route("/portal", _to_portal),
        Mount("/portal/maplibre", StaticFiles(directory=_MAPLIBRE, check_dir=False)),
        Mount("/portal", _PortalFiles(directory=_HERE / "static", html=True)),
    ]
