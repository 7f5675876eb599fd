"""etl: bureau files in, one CGCS2000 map out: datum, readers, checks, load, reports."""
