"""`make bench`: this service against the SQL it sends and against stock peers, in one run.

Every figure is a ratio of rates measured minutes apart on the same machine, database and rows:
absolute rates say more about the machine than about the code.
"""
