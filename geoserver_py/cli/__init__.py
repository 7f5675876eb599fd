"""The command line `geoserver-py`: thin skins over the rooms' functions."""


def main() -> None:
    """Run the command line; the entry point `geoserver-py`."""
    from geoserver_py.cli.app import main as run  # `cli.output` alone needs none of the rooms

    run()
