-- What was rejected from each source's newest dataset, why, and what does a rejected record look like?
SELECT source, reason, count(*) AS records, any_value(record_id) AS for_example, any_value(detail) AS detail
FROM quarantine
GROUP BY ALL
ORDER BY source, records DESC
