"""The step of `make demo DATA=folder`: the real data sets, through the same ETL."""

from __future__ import annotations

from collections.abc import Callable

from geoserver_py import demo_data
from geoserver_py.errors import WorkFailed
from geoserver_py.settings import Settings


def load_real(settings: Settings, say: Callable[[str], None]) -> str:
    """Run the deliveries of the data sets below `settings.real_data`; WorkFailed if refused."""
    if settings.real_data is None:
        return "none asked for (make demo DATA=folder)"
    if not settings.real_data.is_dir():
        raise WorkFailed(f"DATA={settings.real_data} 不是文件夹 is no folder")
    from geoserver_py.real_deliveries.templates import write_real_deliveries  # a second to import

    paths = write_real_deliveries(settings.real_data, settings.data_dir / "real", say)
    return demo_data.load_all(settings, paths, say)
