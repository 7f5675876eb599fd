"""Alembic revisions of the schemas catalog, gazetteer, jobs and staging, and of the roles."""
