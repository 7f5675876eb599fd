"""`python -m geoserver_py.cli`: the command line without its installed script."""

from geoserver_py.cli.app import main

main()
