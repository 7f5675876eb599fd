"""The command line `geoserver-py`: thin skins over the rooms' functions."""

from geoserver_py.cli.app import main

__all__ = ["main"]
