"""The check of a reward: the exploit bench, and on a dataset's real turns policies, golds and their mutations."""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from data.reporting import Reporter
from data.settings import RewardWeights
from models.rewards.bench import RULES, Finding, check
from models.rewards.bench_table import verdict
from models.rewards.fuzz import completions, fault
from models.rewards.gold import GoldAudit, audit
from models.rewards.mutations import MutationReport, check_mutations
from models.rewards.policies import Gain, call_share, gains
from models.rewards.variants import NAMES, Reward, load_reward

if TYPE_CHECKING:
    from rich.table import Table

    from data.schema import DecisionPoint

GOLDS = 500
#: Share of golds of a kind of turn that may miss the greatest reward.
GOLD_LIMIT = 0.02
SHOWN = 8


@dataclass(frozen=True)
class RealTurns:
    """What a reward does on a dataset's decision points."""

    dataset_version: str
    call_share: float
    gains: list[Gain]
    gold: GoldAudit
    mutations: MutationReport

    @property
    def faults(self) -> list[str]:
        """What does not hold, in words."""
        paid = [f"the policy {gain.policy} gains {gain.tool_part:+.3f}" for gain in self.gains if not gain.holds]
        missed = [
            f"gold misses the greatest reward on {self.gold.failed_share(kind):.1%} of {kind} turns"
            for kind in self.gold.checked
            if self.gold.failed_share(kind) > GOLD_LIMIT
        ]
        alive = len(self.mutations.survivors)
        return [*paid, *missed, *([f"{alive} mutations are not below their gold"] if alive else [])]


def rewards_to_check(spec: str | None, weights: RewardWeights) -> list[Reward]:
    """The reward named, or all of our own."""
    return [load_reward(name, weights) for name in ([spec] if spec else NAMES)]


def check_on_real_turns(reward: Reward, version: str, reporter: Reporter, golds: int = GOLDS) -> RealTurns:
    """Policies, golds and mutations on every decision point of a dataset version (mutations: on so many golds)."""
    from data.snapshot import read_decision_points

    points = read_decision_points(version)
    reporter.phase(f"{reward.name}: golds of {len(points):,} decision points")
    gold = audit(points, reward)
    good = [point for point in points if point.id not in gold.barred]
    sample = random.Random("golds to mutate").sample(good, min(golds, len(good)))
    reporter.phase(f"{reward.name}: mutations of {len(sample)} golds")
    mutated = check_mutations(sample, good, reward)
    reporter.phase(f"{reward.name}: policies")
    return RealTurns(version, call_share(points), gains(points, reward), gold, mutated)


def check_random_completions(
    rewards: Sequence[Reward], points: Sequence[DecisionPoint], cases: int, seed: int, reporter: Reporter
) -> list[str]:
    """Faults among so many random completions under each reward; at most ``SHOWN`` are told."""
    reporter.phase("random completions", total=float(cases), unit="cases")
    found: list[str] = []
    for number, (point, text) in enumerate(completions(points, seed, cases)):
        if number % 1000 == 0:
            reporter.update(number)
        for reward in rewards:
            problem = fault(reward, point, text, thinking=number % 2 == 0)
            if problem and len(found) < SHOWN:
                found.append(f"{reward.name} at {point.id}: {problem} on {text!r}")
    return found


def print_bench(rewards: Sequence[Reward]) -> dict[str, list[Finding]]:
    """Print the exploit bench with a column per reward; returns the findings by reward."""
    from rich.table import Table

    findings = {reward.name: check(reward) for reward in rewards}
    title = "Exploit bench: ok, or the two rewards that break the rule"
    table = Table("turn", "requirement", *findings, title=title, title_justify="left")
    for index, rule in enumerate(RULES):
        cells = [verdict(one[index].holds, one[index].left, one[index].right) for one in findings.values()]
        table.add_row(rule.scene, rule.text, *(cell.strip("*") for cell in cells))
    table.add_section()
    table.add_row("", "rules that fail", *(str(failed(one)) for one in findings.values()))
    _print(table)
    return findings


def failed(findings: Sequence[Finding]) -> int:
    """How many rules do not hold."""
    return sum(not finding.holds for finding in findings)


def print_real_turns(reward: Reward, turns: RealTurns) -> None:
    """Print what policies gain, how golds fare and which mutations survived."""
    from rich.table import Table

    title = f"{reward.name} on dataset {turns.dataset_version}, {turns.call_share:.1%} call turns"
    table = Table("policy", "tool part, mean", "share of maximum", "pays nothing", title=title, title_justify="left")
    for gain in turns.gains:
        holds = "ok" if gain.holds else "NO"
        table.add_row(gain.policy, f"{gain.tool_part:+.3f}", f"{gain.share_of_maximum:.2f}", holds)
    _print(table)
    for kind, many in sorted(turns.gold.checked.items()):
        missed = turns.gold.failed[kind]
        sys.stdout.write(f"gold: {many - missed:,} of {many:,} {kind} turns at the greatest reward\n")
    tried = ", ".join(f"{name} {many}" for name, many in sorted(turns.mutations.tried.items()))
    sys.stdout.write(f"mutations: {tried}; not below their gold: {len(turns.mutations.survivors)}\n")
    if turns.mutations.unknown:
        sys.stdout.write(
            f"  {turns.mutations.unknown} of these golds are answers whose acts nobody annotated: facts aside, the "
            "reward cannot tell one answer from another there, and none was tried as one of another act\n"
        )
    for survivor in turns.mutations.survivors[:SHOWN]:
        sys.stdout.write(f"  {survivor.mutation} at {survivor.decision_point_id}: {survivor.text[-100:]!r}\n")


def _print(table: Table) -> None:
    from rich.console import Console

    console = Console() if sys.stdout.isatty() else Console(width=150)
    console.print(table)
