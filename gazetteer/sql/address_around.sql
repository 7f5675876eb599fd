-- The official plates below and above a number that is not on record, on its own side and on the
-- other, nearest first; {bearer} is the column that bears the numbers. WITH TIES reads in the order
-- of the index and stops at the fourth plate: ordered by fid at once, all 400 numbers were read and
-- sorted, 50 ms in villages with some thousand plates.
SELECT asked.ordinal, found.*
FROM unnest(%(names)s::text[], %(counties)s::text[], %(mains)s::integer[])
    WITH ORDINALITY AS asked (name, county, main, ordinal)
CROSS JOIN (VALUES (0), (1)) AS side (parity)
CROSS JOIN LATERAL (
    (
        SELECT {columns}
        FROM (
            SELECT *
            FROM layer.address
            WHERE {bearer} = asked.name AND geom IS NOT NULL
              AND gazetteer.main_number(number)
                  BETWEEN greatest(asked.main - 400, 1) AND asked.main - 1
              AND gazetteer.main_number(number) %% 2 = side.parity
              AND number !~ '^(自编|临|附|旧|原|老)'
              AND (asked.county = '' OR coalesce(village_code, '') = ''
                   OR starts_with(village_code, asked.county))
            ORDER BY gazetteer.main_number(number) DESC
            FETCH FIRST 4 ROWS WITH TIES
        ) AS below
        ORDER BY gazetteer.main_number(number) DESC, fid
        LIMIT 4
    )
    UNION ALL
    (
        SELECT {columns}
        FROM (
            SELECT *
            FROM layer.address
            WHERE {bearer} = asked.name AND geom IS NOT NULL
              AND gazetteer.main_number(number) BETWEEN asked.main + 1 AND asked.main + 400
              AND gazetteer.main_number(number) %% 2 = side.parity
              AND number !~ '^(自编|临|附|旧|原|老)'
              AND (asked.county = '' OR coalesce(village_code, '') = ''
                   OR starts_with(village_code, asked.county))
            ORDER BY gazetteer.main_number(number)
            FETCH FIRST 4 ROWS WITH TIES
        ) AS above
        ORDER BY gazetteer.main_number(number), fid
        LIMIT 4
    )
) AS found
