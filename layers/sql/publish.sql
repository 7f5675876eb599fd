-- What the catalogue says of the layer after this revision. An edit can only grow the extent;
-- bulk runs that moved or deleted features measure it anew.
UPDATE catalog.layer SET
    feature_count = feature_count + %(inserted)s - %(deleted)s,
    extent = {extent},
    time_from = {time_from},
    time_to = {time_to},
    updated_at = clock_timestamp()
WHERE name = %(layer)s
