"""Decision points changed on purpose: tools added, information withheld, the format told, thoughts forced."""

from __future__ import annotations

import pytest

from data.decision_points import decision_points
from data.evaluations import append_evaluations, read_evaluations
from data.profiles import resolve
from data.reporting import Silent
from data.schema import Act, Conversation, DecisionPoint
from models.evaluation.metrics import judge
from models.evaluation.thoughts import NoThoughts, forced_thoughts, shuffled
from models.evaluation.variants import DISTRACTORS, WITHHELD, variant
from models.speech.parsing import parse_completion
from models.speech.template import completion_text


@pytest.fixture(scope="module")
def points(tiny_conversations: list[Conversation]) -> list[DecisionPoint]:
    return [point for conversation in tiny_conversations for point in decision_points(conversation)]


def test_distractors_are_other_tools_and_the_gold_stays_right(points: list[DecisionPoint]) -> None:
    change = variant("distractors", points)
    for point in points:
        changed = change(point)
        assert changed is not None
        added = {tool.name for tool in changed.tools} - {tool.name for tool in point.tools}
        assert 0 < len(added) <= DISTRACTORS
        assert len(changed.tools) == len(point.tools) + len(added)
        gold = parse_completion(completion_text(point.expected, None), thinking=False, tools=changed.tools)
        assert judge(changed, gold).turn_success
        assert change(point) == changed  # every model meets the same
    assert variant("distractors", points[:1])(points[0]) is None  # there are no others


def test_where_the_user_never_said_it_asking_is_right_and_calling_wrong(points: list[DecisionPoint]) -> None:
    change = variant("withheld", points)
    changed = [(point, new) for point in points if (new := change(point)) is not None]
    assert changed
    for point, new in changed:
        assert point.kind == "call"
        assert (new.kind, new.expected.acts, new.id) == ("answer", (Act.REQUEST,), point.id)
        assert any(WITHHELD in (message.content or "") for message in new.history)
        gold = parse_completion(completion_text(point.expected, None), thinking=False, tools=new.tools)
        asking = parse_completion(new.expected.content or "", thinking=False, tools=new.tools)
        assert not judge(new, gold).turn_success
        assert judge(new, asking).turn_success
    assert all(change(point) is None for point in points if point.kind == "answer")


def test_the_format_is_told_in_a_system_message(points: list[DecisionPoint]) -> None:
    change = variant("few_shot", points[:1], points)
    changed = change(points[0])
    assert changed is not None
    first, *rest = changed.history
    assert first.role == "system"
    assert first.content is not None
    assert first.content.count("<tool_call>") == 2  # the form, and an example
    assert rest == [message for message in points[0].history if message.role != "system"]
    assert rest
    with pytest.raises(ValueError, match="no variant"):
        variant("upside_down", points)


def test_shuffled_thoughts_come_from_other_conversations(points: list[DecisionPoint]) -> None:
    own = {point.id: f"thought of {point.conversation_id}" for point in points}
    homes = {point.id: point.conversation_id for point in points}
    chosen = shuffled(points, own, homes)
    assert all(f"thought of {point.conversation_id}\n" not in chosen[point.id] for point in points)
    assert all(text.endswith("</think>\n\n") for text in chosen.values())
    assert chosen == shuffled(points, own, homes)
    with pytest.raises(NoThoughts, match="one conversation"):
        shuffled(points[:1], {points[0].id: "mine"}, homes)
    with pytest.raises(NoThoughts, match="thoughts_of"):
        forced_thoughts(points, "shuffled", None)


def test_forced_and_sampled_evaluations_are_rows_of_their_own(
    points: list[DecisionPoint], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the tiny model: the forced thought stands in the text, the action alone is judged, draws differ."""
    from models.base import fetch_base_model
    from models.evaluation.run import evaluate

    few = [point.model_copy(update={"split": "validation_seen"}) for point in points[:6]]
    monkeypatch.setattr("models.evaluation.run.read_decision_points", lambda version, splits: few)
    model = fetch_base_model("random:qwen3", Silent())

    def judged(name: str, **chosen: object) -> list[dict]:
        how = {"max_completion_length": 8, "decision_points": None, **chosen}
        evaluate(
            model,
            run_id="run",
            stage="grpo",
            evaluation_id=name,
            dataset_version="v",
            splits=["validation_seen"],
            thinking=True,
            settings=resolve("smoke", {"device": "cpu", "evaluation": how}),
            reporter=Silent(),
        )
        return read_evaluations(name).to_dict("records")

    empty = judged("empty", thoughts="empty")
    assert {one["variant"] for one in empty} == {"thoughts empty"}
    assert all(one["text"].startswith("<think>\n\n</think>\n\n") for one in empty)
    assert all(one["parse_status"] not in ("empty_think", "unclosed_think") for one in empty)
    draws = [judged(f"draw{number}", sample=number, temperature=1.5) for number in (1, 2)]
    assert [one["variant"] for one in draws[0][:1] + draws[1][:1]] == ["sample 1", "sample 2"]
    assert [one["text"] for one in draws[0]] != [one["text"] for one in draws[1]]
    rows = [{key: value for key, value in one.items() if key not in ("evaluation_id", "created_at")} for one in empty]
    append_evaluations("old", [{key: value for key, value in rows[0].items() if key != "variant"} | NOTHING])
    assert read_evaluations("old")["variant"].isna().all()


#: What pandas turns into NaN.
NOTHING = {
    "tool": None,
    "reasoning": None,
    "action": None,
    "tool_name_correct": None,
    "argument_names_correct": None,
    "argument_values": None,
    "exact_call": None,
    "facts": None,
}
