"""Deliveries of real data sets that lie outside the repository.

Templates (`*.yaml`) name files as `${DATA}/...`; `templates.write_real_deliveries` resolves them
beside what has to be prepared first. Nothing of the data is kept here.
"""
