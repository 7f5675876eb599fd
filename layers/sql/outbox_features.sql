-- An edit: one row a feature, its envelope around the old and the new position.
INSERT INTO catalog.outbox
    (layer, revision, ordinal, operation, fid, id, envelope, feature_count)
SELECT
    %(layer)s, %(revision)s, row_number() OVER (ORDER BY change.id COLLATE "C"),
    change.operation, coalesce(new.fid, change.fid), change.id, {envelope}, 1
FROM pg_temp.change_set AS change
LEFT JOIN {live} AS new ON new.id = change.id AND change.operation <> 'delete'
LEFT JOIN {history} AS old
    ON old.fid = change.fid AND old.replaced_by_revision = %(revision)s
