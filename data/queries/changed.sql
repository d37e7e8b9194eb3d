-- Which prompts did one model get right and another wrong? Both were judged on them; lost first, then won.
-- with before: run id or its first characters; the champion unless given, else the newest SFT run
-- with after: run id or its first characters; the newest evaluated run unless given
WITH recorded AS (SELECT * FROM evaluations WHERE variant IS NULL),
earlier AS (
    SELECT run_id, thinking FROM recorded JOIN (SELECT run_id, stage AS of_stage, champion FROM runs) USING (run_id)
    WHERE $before IS NULL OR starts_with(run_id, $before)
    ORDER BY champion DESC, of_stage = 'sft' DESC, created_at DESC LIMIT 1
), later AS (
    SELECT run_id, thinking FROM recorded
    WHERE run_id NOT IN (SELECT run_id FROM earlier) AND ($after IS NULL OR starts_with(run_id, $after))
    ORDER BY created_at DESC LIMIT 1
), b AS (SELECT * FROM recorded JOIN earlier USING (run_id, thinking)),
a AS (SELECT * FROM recorded JOIN later USING (run_id, thinking))
SELECT CASE WHEN b.turn_success THEN 'lost' ELSE 'won' END AS change,
    decision_point_id, a.kind, a.tool, b.text AS before, a.text AS after,
    b.run_id[:8] AS before_run, a.run_id[:8] AS after_run
FROM a JOIN b USING (decision_point_id)
WHERE a.turn_success <> b.turn_success
ORDER BY change, a.tool NULLS LAST, decision_point_id
