-- Live codes, and whether their address still is.
SELECT c.code, c.style, c.address, a.id IS NOT NULL
FROM gazetteer.address_code AS c LEFT JOIN layer.address AS a ON a.id = c.address
WHERE c.retired_at IS NULL
ORDER BY c.code
