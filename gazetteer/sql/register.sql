SELECT fid, id, name FROM layer.division_name
