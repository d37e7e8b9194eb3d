"""The exploit bench and one worked example of each part as Markdown, as docs/rewards.md has them.

A test compares that page with what is written here, so neither can change without the other;
``apprentice rewards check --markdown`` prints the sections to paste.
"""

from __future__ import annotations

from collections.abc import Sequence

from data.settings import RewardWeights
from models.rewards.bench import RULES, check
from models.rewards.bench_cases import Scene, scenes
from models.rewards.variants import NAMES, Reward, load_reward

#: Part of the reward → scene and completions that show it.
EXAMPLES: dict[str, tuple[str, tuple[str, ...]]] = {
    "Format": ("call", ("exact", "exact, empty thought", "malformed call")),
    "Tool accuracy": ("call", ("exact", "one value wrong", "exact and one junk read", "unasked write call")),
    "No call due": ("goodbye", ("right answer", "a read call", "a write call")),
    "Facts and grounding": ("answer with facts", ("right answer", "a fact missing", "a value invented")),
    "Being an answer": ("answer with facts", ("tool result dumped", "announced, not called")),
    "Kind of act": ("request", ("right question", "a question about something else", "no question")),
}


def exploit_table(rewards: Sequence[Reward]) -> str:
    """A row per rule, a column per reward: both sides' rewards where it fails, else that it holds."""
    columns = [check(reward) for reward in rewards]
    rows = [["turn", "requirement", *(reward.name for reward in rewards)]]
    rows.append(["---"] * len(rows[0]))
    for index, rule in enumerate(RULES):
        findings = [column[index] for column in columns]
        rows.append([rule.scene, rule.text.replace("|", "\\|"), *(verdict(f.holds, f.left, f.right) for f in findings)])
    rows.append(["", "**rules that fail**", *(str(sum(not one.holds for one in column)) for column in columns)])
    return _markdown(rows)


def verdict(holds: bool, left: float, right: float) -> str:
    """``ok``, or the two rewards that break the rule."""
    return "ok" if holds else f"**{left:.2f} / {right:.2f}**"


def worked_examples(reward: Reward) -> str:
    """For each part a turn and what some completions of it earn, part by part."""
    made = scenes()
    sections = [
        f"**{part}.** {_turn(made[name])}\n\n{_paid(made[name], shown, reward)}"
        for part, (name, shown) in EXAMPLES.items()
    ]
    return "\n\n".join(sections)


def document() -> dict[str, str]:
    """What docs/rewards.md has between its markers, by the marker's name."""
    weights = RewardWeights()
    rewards = [load_reward(name, weights) for name in NAMES]
    return {"worked examples": worked_examples(rewards[0]), "exploit table": exploit_table(rewards)}


def _turn(scene: Scene) -> str:
    said = next(message.content for message in reversed(scene.point.history) if message.role == "user")
    if scene.point.kind == "call":
        due = "; ".join(f"`{call.name}({call.arguments_raw})`" for call in scene.point.expected.tool_calls)
        return f"The user says “{said}”; due is {due}."
    expected = scene.point.expected
    facts = ", ".join(
        fact.forms[0] if fact.kind == "value" else f"{fact.name}: {fact.forms[0]}" for fact in expected.facts
    )
    acts, asked = ", ".join(map(str, expected.acts)), ", ".join(expected.requested)
    parts = [f"acts: {acts}", *([f"facts: {facts}"] if facts else []), *([f"to ask for: {asked}"] if asked else [])]
    return f"The user says “{said}”; due is an answer ({'; '.join(parts)})."


def _paid(scene: Scene, names: Sequence[str], reward: Reward) -> str:
    rows = [["completion", "format", "tool accuracy", "answer correctness", "reward", "of at most"], ["---"] * 6]
    for name in names:
        parts = reward.score(scene.point, scene.completions[name], thinking=True).parts
        answer = "–" if parts.answer_correctness is None else f"{parts.answer_correctness:.2f}"
        total = reward.total(parts)
        highest = reward.maximum(scene.point)
        rows.append(
            [name, f"{parts.format:.0f}", f"{parts.tool_accuracy:.2f}", answer, f"{total:.2f}", f"{highest:.2f}"]
        )
    return _markdown(rows)


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
