"""layers: what a layer is, the PostGIS store that holds it, and the national standards it follows.

The lowest room: it imports none of the others (docs/architecture.md).
"""
