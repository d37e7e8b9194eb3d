-- Which argument goes wrong most often, by tool: missing, with another value than expected, or not expected at all?
-- Only calls to the right tool count. Values are compared as JSON text, so 3 and "3" differ here, while the judge
-- forgives some such differences: read the counts as pointers, the metric exact_call as the truth.
-- with run: run id or its first characters; the newest evaluated run unless given
WITH chosen AS (
    SELECT run_id FROM evaluations
    WHERE variant IS NULL AND ($run IS NULL OR starts_with(run_id, $run))
    ORDER BY created_at DESC LIMIT 1
), judged AS (
    SELECT e.run_id, e.conversation_id, e.tool, p.message_index, json_extract(e.action, '$[0].arguments') AS said
    FROM evaluations AS e
    JOIN chosen USING (run_id)
    JOIN decision_points AS p USING (decision_point_id)
    WHERE e.variant IS NULL AND e.kind = 'call' AND e.tool_name_correct AND e.action IS NOT NULL
), expected AS (
    SELECT j.run_id, j.tool, j.said, c.arguments, c.accepted,
        unnest(list_distinct(list_concat(json_keys(c.arguments), json_keys(coalesce(j.said, '{}'))))) AS argument
    FROM judged AS j
    JOIN calls AS c USING (conversation_id, message_index)
    WHERE c.call_index = 0
), compared AS (
    SELECT run_id, tool, argument,
        said -> argument AS got,
        arguments -> argument AS due,
        json_contains(coalesce(accepted -> argument, '[]'), said -> argument) AS also_right,
        json_contains(coalesce(accepted -> argument, '[]'), 'null') AS may_be_left_out
    FROM expected
)
SELECT tool, argument,
    count(*) FILTER (got IS NULL AND NOT may_be_left_out) AS missing,
    count(*) FILTER (got IS NOT NULL AND got <> due AND NOT coalesce(also_right, false)) AS other_value,
    count(*) FILTER (due IS NULL AND NOT coalesce(also_right, false)) AS not_expected,
    count(*) AS calls,
    round((missing + other_value + not_expected) / calls, 3) AS wrong_share,
    any_value(due) FILTER (got IS DISTINCT FROM due) AS for_example_due,
    any_value(got) FILTER (got IS DISTINCT FROM due) AS but_said,
    any_value(run_id)[:8] AS run
FROM compared
GROUP BY tool, argument
HAVING missing + other_value + not_expected > 0
ORDER BY missing + other_value + not_expected DESC, tool, argument
LIMIT 30
