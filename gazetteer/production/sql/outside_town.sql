-- Records that lie outside the town that their code names.
SELECT a.id, t.name
FROM layer.address AS a JOIN layer.division_town AS t ON t.id = left(a.village_code, 9)
WHERE NOT ST_Intersects(t.geom, a.geom)
ORDER BY a.id
