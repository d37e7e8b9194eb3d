-- Which validated turns did a training win and lose between its first validation and a later one? Counted by tool, most lost first.
-- with run: run id or its first characters; the run validated last unless given
-- with step: step of the later validation; the run's last one unless given
WITH chosen AS (
    SELECT run_id FROM validations WHERE $run IS NULL OR starts_with(run_id, $run) ORDER BY created_at DESC LIMIT 1
), one AS (SELECT * FROM validations JOIN chosen USING (run_id)),
ends AS (SELECT min(step) AS first, coalesce($step::BIGINT, max(step)) AS last FROM one),
b AS (SELECT * FROM one WHERE step = (SELECT first FROM ends)),
a AS (SELECT * FROM one WHERE step = (SELECT last FROM ends))
SELECT coalesce(a.tool, '(answer)') AS tool,
    count(*) FILTER (b.turn_success AND NOT a.turn_success) AS lost,
    count(*) FILTER (a.turn_success AND NOT b.turn_success) AS won,
    count(*) AS validated,
    any_value(decision_point_id) FILTER (b.turn_success AND NOT a.turn_success) AS for_example,
    any_value(b.step) AS first_step,
    any_value(a.step) AS step,
    any_value(a.run_id)[:8] AS run
FROM a JOIN b USING (decision_point_id)
GROUP BY ALL
HAVING lost + won > 0
ORDER BY lost DESC, won DESC, tool
