"""The bank: accounts, cards, transfers and disputes, with customers who have to be verified first."""

from __future__ import annotations

from data.practice.declarations import Domain
from data.practice.domains.bank.agent_phrases import AGENT_PHRASES
from data.practice.domains.bank.entities import build
from data.practice.domains.bank.tasks import ERRANDS, POLICY, SLOTS, TASKS
from data.practice.domains.bank.tools import TOOLS
from data.practice.domains.bank.user_phrases import USER_PHRASES

BANK = Domain(
    name="bank",
    build=build,
    tools=TOOLS,
    slots=SLOTS,
    tasks=TASKS,
    errands=ERRANDS,
    phrases={**USER_PHRASES, **AGENT_PHRASES},
    lasting=("customer_id", "birth_date"),
    outside={
        "mortgage rates": None,
        "share prices": None,
        "exchange rate": None,
        "branch opening hours": None,
        "gold price": None,
        "loan offer": None,
        "tax advice": None,
        "travel insurance": None,
        "parking near the branch": None,
        "cash machine fees": None,
    },
    policy=POLICY,
)
