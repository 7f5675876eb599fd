"""Jobs of OGC API Processes (OGC 18-062r2, 7.11 to 7.14): work that outlives its request."""
