-- How did the reward and its parts move, step by step? (Groups that were drawn again do not count.)
-- with run: run id or its first characters; the newest run with rollouts unless given
WITH chosen AS (
    SELECT run_id FROM rollouts WHERE $run IS NULL OR starts_with(run_id, $run) ORDER BY created_at DESC LIMIT 1
)
SELECT step, round(avg(reward), 3) AS reward, round(avg(reward_format), 3) AS format,
    round(avg(reward_tool_accuracy), 3) AS tool_accuracy,
    round(avg(reward_answer_correctness), 3) AS answer_correctness,
    round(avg(passed::INT), 3) AS full_reward_share, round(avg(completion_tokens), 1) AS tokens,
    round(avg(truncated::INT), 3) AS cut_off_share, count(*) AS completions, any_value(run_id)[:8] AS run
FROM rollouts JOIN chosen USING (run_id)
WHERE discarded IS NOT TRUE
GROUP BY step
ORDER BY step
