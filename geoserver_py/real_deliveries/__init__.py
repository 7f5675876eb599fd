"""Deliveries of real data sets that lie outside the repository.

Templates (`*.yaml`) name files as `${DATA}/...`; `write_real_deliveries` resolves them beside
what has to be prepared first. Nothing of the data is kept here.
"""

from geoserver_py.real_deliveries.templates import write_real_deliveries

__all__ = ["write_real_deliveries"]
