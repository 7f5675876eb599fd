-- The nearest component of one class within a radius; distances are geodesic metres.
SELECT component.id AS code,
       component.name,
       component.class_code,
       component.state,
       component.department_code,
       component.department,
       ST_X(component.geom) AS lon,
       ST_Y(component.geom) AS lat,
       ST_Distance(
           component.geom::geography,
           ST_SetSRID(ST_MakePoint(%(lon)s, %(lat)s), 4490)::geography
       ) AS distance_m
  FROM layer.component AS component
 WHERE component.class_code = %(class_code)s
   AND component.tile_geom && ST_Expand(
           ST_Transform(ST_SetSRID(ST_MakePoint(%(lon)s, %(lat)s), 4490), 3857),
           -- a hundredth more: Mercator's scale is the sphere's, distances are the ellipsoid's
           1.01 * %(radius_m)s / cos(radians(%(lat)s))
       )
 ORDER BY distance_m, component.id
 LIMIT 1
