-- The longest thoughts, what they led to, and whether they helped.
-- with run: run id or its first characters; every run unless given
SELECT run_id[:8] AS run, stage, length(reasoning) AS letters, completion_tokens AS tokens, truncated,
    turn_success AS right, kind, tool, decision_point_id, reasoning
FROM evaluations
WHERE reasoning IS NOT NULL AND variant IS NULL AND ($run IS NULL OR starts_with(run_id, $run))
ORDER BY letters DESC, decision_point_id
LIMIT 20
