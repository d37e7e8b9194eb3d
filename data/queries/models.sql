-- Every model that was judged, newest first: turn success on seen and unseen tools of validation, steps, minutes, tokens.
SELECT r.run_id[:8] AS run, r.stage, r.profile, r.dataset_version AS dataset, r.champion, e.thinking,
    round(avg(turn_success::INT) FILTER (split LIKE '%\_seen' ESCAPE '\'), 3) AS seen,
    round(avg(turn_success::INT) FILTER (split LIKE '%unseen'), 3) AS unseen,
    count(*) AS judged, round(avg(completion_tokens), 1) AS tokens_a_turn,
    r.steps, round(r.seconds / 60, 1) AS minutes, r.ended
FROM evaluations AS e JOIN runs AS r USING (run_id)
WHERE e.variant IS NULL AND split LIKE 'validation%'
GROUP BY ALL
ORDER BY r.ended DESC
