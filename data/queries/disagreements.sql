-- Where do reward and evaluation disagree? By tool: how often completions earned the full reward in training, and how
-- often the judge, who knows nothing of the reward, found turns with that tool right. Widest gap first.
-- Training and validation hold different conversations: a gap is a reason to look, not a proof.
-- with run: run id or its first characters; the newest run that has both unless given
WITH chosen AS (
    SELECT run_id FROM rollouts
    WHERE run_id IN (SELECT run_id FROM evaluations WHERE variant IS NULL) AND ($run IS NULL OR starts_with(run_id, $run))
    ORDER BY created_at DESC LIMIT 1
), rewarded AS (
    SELECT coalesce(tool, '(answer)') AS tool, avg(passed::INT) AS passed, avg(reward) AS reward, count(*) AS completions
    FROM rollouts JOIN chosen USING (run_id) GROUP BY ALL
), judged AS (
    SELECT coalesce(tool, '(answer)') AS tool, avg(turn_success::INT) AS right_share, count(*) AS judged,
        any_value(run_id)[:8] AS run
    FROM evaluations JOIN chosen USING (run_id) WHERE variant IS NULL GROUP BY ALL
)
SELECT tool, round(passed, 3) AS full_reward_share, round(right_share, 3) AS judged_right_share,
    round(passed - right_share, 3) AS gap, round(reward, 3) AS mean_reward, completions, judged, run
FROM rewarded JOIN judged USING (tool)
ORDER BY abs(gap) DESC, tool
