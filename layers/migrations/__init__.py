"""Alembic's revisions of the schemas that it owns."""

SCHEMA_VERSION = "0012"
"""The newest revision here; a serving process reads it without importing Alembic (19 MB)."""
