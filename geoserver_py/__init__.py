"""geoserver_py: the service that composes layers, etl, tiles and gazetteer into one map."""

__version__ = "0.1.0"
