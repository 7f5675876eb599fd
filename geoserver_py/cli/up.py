"""`geoserver-py demo up` and `demo prepare`: what `make demo` runs."""

from __future__ import annotations

from geoserver_py.cli.output import say
from geoserver_py.settings import load_settings


def up() -> None:
    """启动演示 / database, sample city, ETL and server; Ctrl-C stops all of it."""
    from geoserver_py import supervisor

    supervisor.run(load_settings(), supervisor.own_commands(), say)


def prepare() -> None:
    """准备演示数据 / migrate, apply layers, build and load the sample city; idempotent."""
    from geoserver_py.demo_steps import prepare_all

    prepare_all(load_settings(), say)
