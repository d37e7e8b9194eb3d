-- What did models write where no action could be read from it, and why not?
-- with run: run id or its first characters; every run unless given
SELECT run_id[:8] AS run, stage, parse_status AS why, count(*) AS times,
    round(avg(truncated::INT), 3) AS cut_off_share, any_value(decision_point_id) AS for_example, any_value(text) AS text
FROM evaluations
WHERE parse_status <> 'ok' AND variant IS NULL AND ($run IS NULL OR starts_with(run_id, $run))
GROUP BY ALL
ORDER BY times DESC
