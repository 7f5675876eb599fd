-- The latest start of every delivery, a row a layer: who, when, what changed, how accurate.
WITH latest AS (
    SELECT DISTINCT ON (run.delivery, run.layer)
        run.id, run.delivery, run.layer, run.bureau, run.status, run.started_at, run.finished_at,
        run.accuracy_m, run.synthetic, run.counts,
        run.report ->> 'status' AS outcome,
        run.report ->> 'reason' AS reason,
        run.report ->> 'layer_title' AS layer_title,
        (run.report ->> 'required_accuracy_m')::float8 AS required_accuracy_m
    FROM catalog.run
    WHERE run.delivery IS NOT NULL AND (%(bureau)s::text IS NULL OR run.bureau = %(bureau)s)
    ORDER BY run.delivery, run.layer, run.id DESC
)
SELECT latest.id AS run, latest.delivery, latest.layer, latest.layer_title, latest.bureau,
    coalesce(latest.outcome, latest.status) AS status, latest.reason,
    latest.started_at, latest.finished_at, latest.accuracy_m, latest.required_accuracy_m,
    latest.synthetic, latest.counts,
    (SELECT max(upload.id) FROM catalog.upload WHERE latest.id = ANY (upload.runs)) AS upload
FROM latest
ORDER BY latest.started_at DESC
LIMIT %(limit)s
