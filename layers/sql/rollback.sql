-- What brings a layer back behind a revision: the versions that it replaced or deleted, and the
-- features that it inserted as deletes. What changed later (pg_temp.changed_later) stays.
INSERT INTO {staging} (operation, id, {columns})
SELECT NULL, past.id, {past_columns}
FROM {history} AS past
WHERE past.replaced_by_revision = %(revision)s
    AND past.id NOT IN (SELECT id FROM pg_temp.changed_later)
UNION ALL
SELECT 'delete', past.id, {past_columns}
FROM {live} AS past
JOIN (
    SELECT id FROM {live} WHERE revision = %(revision)s
    UNION
    SELECT id FROM {history} WHERE revision = %(revision)s
    EXCEPT
    SELECT id FROM {history} WHERE replaced_by_revision = %(revision)s
) AS inserted USING (id)
WHERE past.id NOT IN (SELECT id FROM pg_temp.changed_later)
