SELECT fid, name, address FROM layer.poi
