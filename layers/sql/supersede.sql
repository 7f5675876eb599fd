-- Versions that this revision replaces or deletes move to history as they were.
INSERT INTO {history} (fid, {version_columns}, replaced_by_revision, operation)
SELECT live.fid, {live_version_columns}, %(revision)s, change.operation
FROM pg_temp.change_set AS change
JOIN {live} AS live ON live.fid = change.fid
