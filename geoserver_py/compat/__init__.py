"""Drop-in answers for apps that call AMap (高德) or Tianditu (天地图): only the base URL changes.

Shapes follow answers that these services are seen to give (docs/compat.md). Keys in the URL are
accepted and ignored; what a caller may read is decided by the API key header as everywhere.
"""

from geoserver_py.compat.amap import OPERATIONS as _AMAP
from geoserver_py.compat.amap_places import OPERATIONS as _AMAP_PLACES
from geoserver_py.compat.tianditu import OPERATIONS as _TIANDITU

OPERATIONS = (*_AMAP, *_AMAP_PLACES, *_TIANDITU)
"""All operations below /compat."""

__all__ = ["OPERATIONS"]
