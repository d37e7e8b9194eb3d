-- In which domains do groups of completions all earn the same, so that nothing can be learned from them?
-- A group is the completions drawn for one prompt in one step; solved: all of them passed; hopeless: none did.
-- with run: run id or its first characters; every run unless given
WITH drawn AS (
    SELECT run_id, step, decision_point_id, draw, domain, kind, max(reward) - min(reward) AS spread,
        bool_and(passed) AS solved, NOT bool_or(passed) AS hopeless
    FROM rollouts
    WHERE $run IS NULL OR starts_with(run_id, $run)
    GROUP BY ALL
)
SELECT domain, kind,
    count(*) AS groups,
    count(*) FILTER (spread < 1e-6) AS flat,
    round(count(*) FILTER (spread < 1e-6) / count(*), 3) AS flat_share,
    count(*) FILTER (spread < 1e-6 AND solved) AS flat_solved,
    count(*) FILTER (spread < 1e-6 AND hopeless) AS flat_hopeless
FROM drawn
GROUP BY ALL
ORDER BY flat_share DESC, flat DESC, domain, kind
