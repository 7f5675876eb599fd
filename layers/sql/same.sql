-- How many staged rows are live as they are: the narrow half of compare.sql, by id and hash alone.
-- (A condition on `operation` in WHERE would make the planner expect few rows: staging has no
-- statistics.)
SELECT count(*) FILTER (WHERE staged.operation IS NULL)
FROM (SELECT id, operation, {staged_columns} FROM {staging} AS s) AS staged
JOIN {live} AS live ON live.id = staged.id AND live.row_hash = {staged_hash}
