"""What each stage's result depends on, in one place: the tasks look up and record it, ``apprentice plan`` foretells it.

Knows no Prefect, so that a plan is printed at once.
"""

from __future__ import annotations

from typing import NamedTuple

from data.schema import TEST_SPLITS, VALIDATION_SPLITS
from data.settings import ChosenSettings, Settings
from models.rewards.variants import reward_digest
from tasks import choices, records
from tasks.code import code_digest
from tasks.records import Address, Record, Stage

JUDGE = "models.evaluation.run"
#: Judges by whole episodes, where a model's tools execute.
PLAYER = "models.practice.evaluation"


class Trainer(NamedTuple):
    """Where a stage's training function is and which section of the settings steers it."""

    module: str
    function: str
    section: str


TRAINERS: dict[str, Trainer] = {
    "sft": Trainer("models.training.sft", "train_sft", "sft"),
    "primed": Trainer("models.training.priming", "prime_thinking", "prime"),
    "grpo": Trainer("models.training.grpo", "train_grpo", "grpo"),
    "continued": Trainer("models.training.continued", "continue_sft", "continued"),
    "rejection": Trainer("models.training.rejection", "train_on_best", "rejection"),
}


def possible_modules(stage: str) -> tuple[tuple[str, ...], ...]:
    """The entry modules that a result of the stage may have come of, each possibility a tuple; none where only settings
    count."""
    if stage == "evaluation":
        return (JUDGE,), (JUDGE, PLAYER)
    return ((TRAINERS[stage].module,),) if stage in TRAINERS else ()


def base_address(settings: Settings, dataset_version: str, model_sha256: str) -> Address:
    """Of the base model's run for a dataset version."""
    return records.address(
        "base",
        code="",
        settings=settings.base_model.model_dump(mode="json"),
        dataset_version=dataset_version,
        start_sha256=model_sha256,
    )


def training_address(stage: Stage, settings: Settings, start: Record, dataset_version: str | None = None) -> Address:
    """Of a trained model; the dataset is the one of the run it starts from unless another is named."""
    trainer = TRAINERS[stage]
    section = getattr(settings, trainer.section)
    # Validation that chooses the weights cuts completions where GRPO's does.
    validated = isinstance(section, ChosenSettings) and section.is_validated
    return records.address(
        stage,
        code=code_digest(trainer.module),
        settings={
            "seed": settings.seed,
            **section.model_dump(mode="json"),
            **({"validation_completion_length": settings.grpo.max_completion_length} if validated else {}),
            **({"reward_digest": reward_digest(settings.grpo.reward)} if stage == "grpo" else {}),
            **_stated_precision(settings),
        },
        dataset_version=dataset_version or start.dataset_version,
        start_sha256=start.model_sha256,
        modules=(trainer.module,),
    )


def evaluation_address(settings: Settings, model: Record) -> Address:
    """Of the judgement of a model, on the dataset it was trained on unless the settings name another."""
    chosen = settings.evaluation.model_dump(mode="json", exclude={"final", "thinking"})
    dataset = settings.evaluation.dataset or model.dataset_version
    plays = dataset is not None and choices.plays_episodes(settings, choices.source_of(dataset))
    splits = TEST_SPLITS if settings.evaluation.final else VALIDATION_SPLITS
    facts = {"run_id": model.run_id, "thinking": thinks(settings, model), "splits": list(splits), **chosen}
    facts |= _stated_precision(settings)
    modules = (JUDGE, PLAYER) if plays else (JUDGE,)
    return records.address(
        "evaluation",
        code=code_digest(*modules),
        settings=facts,
        dataset_version=dataset,
        start_sha256=model.model_sha256,
        modules=modules,
    )


def _stated_precision(settings: Settings) -> dict[str, str]:
    """What is left to the machine is no part of the question."""
    return {} if settings.precision == "auto" else {"precision": settings.precision}


def thinks(settings: Settings, model: Record) -> bool:
    """Whether a model is judged with reasoning: as it was trained unless the settings say otherwise."""
    return model.thinking if settings.evaluation.thinking is None else settings.evaluation.thinking
