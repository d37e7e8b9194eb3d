-- What did the champion get right that a newer model gets wrong? Counted by tool, worst first.
-- with champion: run id or its first characters; the champion unless given, else the newest SFT run
-- with run: run id or its first characters; the newest evaluated run unless given
WITH recorded AS (SELECT * FROM evaluations WHERE variant IS NULL),
earlier AS (
    SELECT run_id, thinking FROM recorded JOIN (SELECT run_id, stage AS of_stage, champion FROM runs) USING (run_id)
    WHERE $champion IS NULL OR starts_with(run_id, $champion)
    ORDER BY champion DESC, of_stage = 'sft' DESC, created_at DESC LIMIT 1
), later AS (
    SELECT run_id, thinking FROM recorded
    WHERE run_id NOT IN (SELECT run_id FROM earlier) AND ($run IS NULL OR starts_with(run_id, $run))
    ORDER BY created_at DESC LIMIT 1
), b AS (SELECT * FROM recorded JOIN earlier USING (run_id, thinking)),
a AS (SELECT * FROM recorded JOIN later USING (run_id, thinking))
SELECT coalesce(a.tool, '(answer)') AS tool,
    count(*) FILTER (b.turn_success AND NOT a.turn_success) AS lost,
    count(*) FILTER (a.turn_success AND NOT b.turn_success) AS won,
    count(*) AS judged_by_both,
    any_value(decision_point_id) FILTER (b.turn_success AND NOT a.turn_success) AS for_example,
    any_value(b.run_id)[:8] AS champion,
    any_value(a.run_id)[:8] AS run
FROM a JOIN b USING (decision_point_id)
GROUP BY ALL
HAVING lost > 0
ORDER BY lost DESC, won, tool
