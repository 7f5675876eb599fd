-- The unit grid cell of a position (EPSG:4490, x = lon). A position within the tolerance of a
-- shared edge belongs to the cell with the lowest code, however the position was notated. Cells
-- count from their initial date to the day before their end date, days of the city.
SELECT cell.id AS code,
       cell.area_m2,
       cell.responsible,
       cell.responsibility_grid,
       cell.village_code
  FROM layer.unit_grid AS cell
 WHERE ST_DWithin(cell.geom, ST_SetSRID(ST_MakePoint(%(lon)s, %(lat)s), 4490), %(tolerance)s)
   AND (cell.initial_date IS NULL OR cell.initial_date <= %(today)s)
   AND (cell.end_date IS NULL OR cell.end_date > %(today)s)
 ORDER BY cell.id
 LIMIT 1
