"""A challenger against the champion on the frozen evaluation set: it takes the place only if shown to be better."""

from __future__ import annotations

from typing import Any

from prefect import flow

from data import profiles
from data.schema import TEST_SPLITS, VALIDATION_SPLITS
from data.settings import ProfileName
from flows.evaluate_model import evaluate_model
from tasks.choices import stated
from tasks.notices import tell_of_failure
from tasks.promotion import NAME, contest, settle, was_rolled_back
from tasks.promotion_scope import as_recorded, judged_alike, scoped
from tasks.records import of_run
from tasks.stage import say
from tasks.upstream import latest_model


@flow(
    name="promote-model",
    flow_run_name="promote ({profile})",
    on_failure=[tell_of_failure],
    on_crashed=[tell_of_failure],
)
def promote_model(
    profile: ProfileName = "laptop",
    run_id: str | None = None,
    source: str | None = None,
    name: str = NAME,
    final: bool = False,
    decision_points: int | None = None,
    minutes: float | None = None,
    overrides: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Judge challenger and champion on the same decision points and decide; returns the stored decision, if any.

    Args:
        profile: Preset of settings.
        run_id: Run of the challenger; empty: the newest trained model.
        source: The newest model on this source's newest dataset.
        name: Registered model whose champion is challenged.
        final: Decide on the test splits. Each use is recorded.
        decision_points: Per split; as many as the guards need, unless stated. With too few a guard stands in the way.
        minutes: Wall-clock budget of each of the two evaluations; none, unless stated.
        overrides: Any other setting, nested as in data/settings.
    """
    challenger = of_run(run_id) if run_id else latest_model(source)
    met = contest(name, challenger)
    if met.decided:
        say(f"promote: run {met.challenger} is the champion of {name} already; train a new one or name one with --run")
        return {"outcome": "is champion", "name": name, "run_id": met.challenger}
    if run_id is None and was_rolled_back(name, met.challenger):
        say(
            f"promote: run {met.challenger}, the newest model, was champion of {name} and was rolled back; train a new "
            f"one, or say that you mean it: --run {met.challenger}"
        )
        return {"outcome": "was rolled back", "name": name, "run_id": met.challenger}
    chosen = stated(overrides, "evaluation", final=final or None, decision_points=decision_points)
    as_recorded(profile, chosen)
    final = profiles.resolve(profile, chosen).evaluation.final
    splits = list(TEST_SPLITS if final else VALIDATION_SPLITS)
    policy_due = False
    if met.champion is not None:
        judged_alike(name, met.challenger, met.champion, splits)
        chosen, policy_due = scoped(profile, chosen, met.dataset_version, splits, timed=minutes is not None)
    evaluations = {}
    for who, model in (("challenger", met.challenger), ("champion", met.champion)):
        if model is not None:
            own = of_run(model).model_place[1] == met.dataset_version
            elsewhere = stated(chosen, "evaluation", dataset=None if own else met.dataset_version)
            evaluations[who] = evaluate_model(profile=profile, run_id=model, minutes=minutes, overrides=elsewhere)
    return settle(name, met, evaluations, splits, policy_due)


if __name__ == "__main__":
    promote_model()
