"""A MapServer on loopback as an outside WFS: Debian's CGI program behind a small HTTP server."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import geopandas as gpd
import pytest

PROGRAM = Path("/usr/lib/cgi-bin/mapserv")
_LAYER = """
 LAYER NAME "{name}" TYPE {kind} STATUS ON CONNECTIONTYPE OGR CONNECTION "{file}" DATA "{name}"
  PROJECTION "init=epsg:{code}" END
  METADATA "wfs_title" "{name}" "gml_include_items" "all" "gml_featureid" "code"
   "wfs_srs" "EPSG:{code} EPSG:4326" "gml_types" "auto"
   "wfs_getfeature_formatlist" "geojson" "wfs_maxfeatures" "{most}" END
 END
"""
_MAP = """
MAP NAME "city" EXTENT 115 23 117 25 UNITS DD
 WEB METADATA "ows_title" "city" "ows_onlineresource" "http://elsewhere.invalid/x?"
  "ows_enable_request" "*" "wfs_encoding" "UTF-8" END END
 OUTPUTFORMAT NAME "geojson" DRIVER "OGR/GEOJSON" MIMETYPE "application/json; subtype=geojson"
  FORMATOPTION "STORAGE=stream" FORMATOPTION "FORM=simple" END
 {layers}
END
"""


@contextlib.contextmanager
def mapserver(
    folder: Path, layers: Mapping[str, gpd.GeoDataFrame], most: int = 1000
) -> Iterator[str]:
    """Serve the tables by their names; yields the URL. Skips where MapServer is absent."""
    if not PROGRAM.exists():
        pytest.skip("no MapServer here (Debian: cgi-mapserver)")
    parts = []
    for name, table in layers.items():
        file = folder / f"{name}.gpkg"
        table.to_file(file, layer=name, driver="GPKG")
        kind = str(table.geometry.geom_type.iloc[0]).upper().removeprefix("MULTI")
        kind = {"LINESTRING": "LINE"}.get(kind, kind)
        code = table.crs.to_epsg()
        parts.append(_LAYER.format(name=name, kind=kind, file=file, code=code, most=most))
    (folder / "city.map").write_text(_MAP.format(layers="".join(parts)), "utf-8")
    (folder / "mapserver.conf").write_text('CONFIG\n ENV\n  MS_MAP_PATTERN "."\n END\nEND\n')

    class Cgi(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            query = f"map={folder / 'city.map'}&{urlsplit(self.path).query}"
            environment = {
                **os.environ,
                "REQUEST_METHOD": "GET",
                "QUERY_STRING": query,
                "MAPSERVER_CONFIG_FILE": str(folder / "mapserver.conf"),
            }
            answer = subprocess.run([PROGRAM], env=environment, capture_output=True, check=True)
            head, _, body = answer.stdout.partition(b"\r\n\r\n")
            self.send_response(200)
            self.send_header("Content-Type", head.partition(b":")[2].strip().decode())
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Keep the test output clean."""

    with serving(Cgi) as host:
        yield f"http://{host}/ows"


@contextlib.contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Run a handler on loopback; yields host:port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
