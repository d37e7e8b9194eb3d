"""Episodes as tokens: the row a model is trained on is the conversation it held, and its own words are marked."""

from dataclasses import replace

import pytest
import torch

from data.practice.domains import DOMAINS
from data.practice.drawing import draw_task
from data.practice.episode import Episode
from data.practice.gold import play_oracle
from data.schema import Conversation, Message
from models.engine.rollout import Generated, decoder
from models.engine.sampling import Sampling
from models.practice import play as module
from models.practice.outcome import UNREADABLE, outcome_of
from models.practice.play import Attempt, Playing, play
from models.practice.rows import messages
from models.practice.transcript import prompt_in_episode
from models.random_model import make_qwen3
from models.speech.template import CHAT_TEMPLATE, THINK_OPEN, TURN_END, completion_text, conversation_tokens

HOW = Playing(thinking=False, sampling=Sampling(1.0), max_new_tokens=400, max_length=10_000, max_turns=16, max_rows=8)


@pytest.fixture(scope="module")
def tiny():
    model, tokenizer = make_qwen3()
    tokenizer.chat_template = CHAT_TEMPLATE
    tokenizer.padding_side = "left"
    return decoder(model, torch.float32), tokenizer


def task(seed: int = 0):
    return draw_task(DOMAINS["hotel"], "seen", seed)


class Script:
    """Stands in for the engine: says what it is told, turn by turn, and remembers the prompts."""

    def __init__(self, tokenizer, turns: dict[str, list[str]]):
        self.tokenizer, self.turns, self.prompts = tokenizer, turns, []

    def __call__(self, model, requests, **others):
        self.prompts.append([list(request.prompt) for request in requests])
        return [self._say(self.turns[request.session][request.key[-1]]) for request in requests]

    def _say(self, text: str) -> Generated:
        ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return Generated(ids, [-1.0] * len(ids))


def played(tiny, monkeypatch, texts: list[str], how=HOW, seed: int = 0):
    script = Script(tiny[1], {"one": texts})
    monkeypatch.setattr(module, "generate", script)
    attempt = Attempt("one", "one", lambda: Episode(task(seed), 3, errors=0.0), ("key",))
    (one,) = play(None, tiny[1], [attempt], how)
    return one, script


def gold(seed: int) -> list[Message]:
    return play_oracle(task(seed), 3, errors=0.0).messages


def lines(said: list[Message], *, thinking: bool) -> list[str]:
    """What a model would have to write, each turn with its end; the think opener is the prompt's."""
    own = [message for message in said if message.role == "assistant"]
    texts = [completion_text(message, message.rationale if thinking else None) for message in own]
    return [text.removeprefix(THINK_OPEN) + TURN_END for text in texts]


@pytest.mark.parametrize("seed", range(4))
def test_an_episodes_row_is_the_conversation_as_the_template_renders_it(tiny, monkeypatch, seed):
    """Turn by turn, by concatenation, the same tokens and the same mask come about as from the whole at once."""
    said = gold(seed)
    one, _ = played(tiny, monkeypatch, lines(said, thinking=False), seed=seed)
    assert one.ended == "done"
    assert [m.content for m in one.environment.messages] == [m.content for m in said]
    whole = Conversation(
        id="x", source="x", record_id="x", split="train", domains=(), tools=one.environment.tools, messages=tuple(said)
    )
    ids, mask = conversation_tokens(tiny[1], whole)
    row = one.transcript.prompt + one.transcript.ids
    newline = len(ids) - len(row)  # the template ends the last turn with one more
    assert ids[: len(row)] == row
    assert newline == 1
    assert mask[: len(row)] == [0] * len(one.transcript.prompt) + one.transcript.own
    assert outcome_of(one.environment, one.ended).success


def test_reasoning_stays_in_context_and_own_tokens_are_exactly_what_was_written(tiny, monkeypatch):
    said = gold(1)
    texts = lines(said, thinking=True)
    one, script = played(tiny, monkeypatch, texts, replace(HOW, thinking=True), seed=1)
    transcript, tokenizer = one.transcript, tiny[1]
    own = [token for token, mine in zip(transcript.ids, transcript.own, strict=True) if mine]
    assert tokenizer.decode(own) == "".join(texts)
    assert all(text in tokenizer.decode(transcript.ids) for text in texts)
    assert [len(transcript.ids), sum(transcript.own)] == [len(transcript.logprobs), -sum(transcript.logprobs)]
    for earlier, later in zip(script.prompts, script.prompts[1:], strict=False):
        assert later[0][: len(earlier[0])] == earlier[0]
    own = [index for index, message in enumerate(said) if message.role == "assistant"]
    learned = [prompt_in_episode(tokenizer, said[:index], one.environment.tools) for index in own]
    assert learned == [prompt for (prompt,) in script.prompts]  # what priming on reasoned histories learns from
    assert script.prompts[-1][0] == (transcript.prompt + transcript.ids)[: len(script.prompts[-1][0])]
    assert [one["reasoning"] for one in messages(one.environment.messages, transcript.turns) if one["tokens"]] == [
        message.rationale for message in said if message.role == "assistant"
    ]


def test_dropped_reasoning_is_in_no_prompt_but_the_opener_is(tiny, monkeypatch):
    texts = lines(gold(1), thinking=True)
    how = replace(HOW, thinking=True, keep_reasoning=False)
    one, script = played(tiny, monkeypatch, texts, how, seed=1)
    prompts = [tiny[1].decode(prompt) for (prompt,) in script.prompts]
    assert one.ended == "done"
    assert all(prompt.endswith(f"assistant\n{THINK_OPEN}") and prompt.count(THINK_OPEN) == 1 for prompt in prompts)
    assert not any("</think>" in prompt for prompt in prompts)


def test_a_call_that_cannot_be_read_comes_back_as_an_error_and_nothing_of_it_runs(tiny, monkeypatch):
    call = lines(gold(1), thinking=False)[0].removesuffix(TURN_END)
    one, _ = played(
        tiny, monkeypatch, [f"{call}\n<tool_call>\n{{oops{TURN_END}"] * 3, replace(HOW, max_turns=3), seed=1
    )
    assert one.ended == "turn_limit"
    assert one.environment.messages[2].tool_calls[0].name == UNREADABLE
    assert "unknown tool" in one.environment.messages[3].content
    assert one.environment.log == []
    stored = messages(one.environment.messages, one.transcript.turns)[2]
    assert stored["fault"] == "malformed_call" or stored["fault"] == "unclosed_call"
    assert "{oops" in stored["content"]


def test_an_episode_ends_where_a_turn_is_cut_or_the_next_would_not_fit(tiny, monkeypatch):
    cut, _ = played(tiny, monkeypatch, ["Could you tell me"])
    assert cut.ended == "truncated"
    assert len(cut.transcript.turns) == 1
    length = len(cut.transcript) + HOW.max_new_tokens
    short, _ = played(tiny, monkeypatch, [f"Could you tell me?{TURN_END}"] * 9, replace(HOW, max_length=length + 20))
    assert short.ended == "too_long"
    assert len(short.transcript) + HOW.max_new_tokens <= length + 20
    assert short.transcript.own[-1] == 1
    never, script = played(tiny, monkeypatch, [], replace(HOW, max_length=10))
    assert (never.ended, never.transcript.turns, script.prompts) == ("too_long", [], [])


def attempts(*tasks: int, size: int = 2):
    return [
        Attempt(f"{number}#{k}", str(number), lambda number=number: Episode(task(number), 0), ("s", number, k))
        for number in tasks
        for k in range(size)
    ]


def test_what_an_attempt_says_does_not_depend_on_what_is_played_beside_it(tiny):
    how = replace(HOW, max_new_tokens=12, max_turns=3, max_rows=3)
    apart = {}
    for attempt in attempts(0, 1):
        apart |= {one.attempt.name: one for one in play(*tiny, [attempt], how)}
    for rows in (3, 8):
        together = {one.attempt.name: one for one in play(*tiny, attempts(0, 1), replace(how, max_rows=rows))}
        assert together.keys() == apart.keys()
        for name, one in together.items():
            assert one.transcript.ids == apart[name].transcript.ids
            assert one.environment.messages == apart[name].environment.messages
    assert apart["0#0"].transcript.ids != apart["0#1"].transcript.ids


def test_a_tasks_attempts_begin_together_and_none_begins_after_the_stop(tiny, monkeypatch):
    widths = []

    def silent(model, requests, **others):
        widths.append(sorted(request.session for request in requests))
        return [Generated([tiny[1].eos_token_id], [0.0]) for _ in requests]

    monkeypatch.setattr(module, "generate", silent)
    how = replace(HOW, max_turns=1, max_rows=3)
    assert len(list(play(None, tiny[1], attempts(0, 1), how))) == 4
    assert widths == [["0#0", "0#1"], ["1#0", "1#1"]]
    widths.clear()
    list(play(None, tiny[1], attempts(0, size=5), how))
    assert [len(row) for row in widths] == [3, 2]
    asked = iter([False, True, True])
    assert len(list(play(None, tiny[1], attempts(0, 1), how, stop=lambda: next(asked)))) == 2
