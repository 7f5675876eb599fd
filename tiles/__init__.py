"""Vector tiles over the layers: grids, SQL, metadata, cache, styles. No HTTP in here."""
