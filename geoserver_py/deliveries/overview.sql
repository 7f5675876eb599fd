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
), arrived AS (
    SELECT delivery, max(finished_at) AS at
    FROM catalog.run WHERE status IN ('succeeded', 'unchanged') GROUP BY delivery
)
SELECT latest.id AS run, latest.delivery, latest.layer, latest.layer_title, latest.bureau,
    coalesce(latest.outcome, latest.status) AS status, latest.reason,
    latest.started_at, latest.finished_at, latest.accuracy_m, latest.required_accuracy_m,
    latest.synthetic, latest.counts,
    (extract(epoch FROM delivery.expected_every) / 86400)::float8 AS expected_every_days,
    arrived.at AS arrived_at,
    arrived.at + delivery.expected_every AS due_at,
    -- who promised and never delivered is late from the promise on
    CASE WHEN delivery.expected_every IS NULL THEN false
        ELSE coalesce(arrived.at, delivery.created_at) + delivery.expected_every
            < clock_timestamp() END AS late,
    (SELECT max(upload.id) FROM catalog.upload WHERE latest.id = ANY (upload.runs)) AS upload
FROM latest
JOIN catalog.delivery ON delivery.name = latest.delivery
LEFT JOIN arrived ON arrived.delivery = latest.delivery
ORDER BY late DESC, latest.started_at DESC
LIMIT %(limit)s
