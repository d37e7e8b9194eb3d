"""What customers come to the bank for: its slots and tasks, which come together, and the policy."""

from __future__ import annotations

from data.practice.declarations import Lookup, Policy, Rule, Slice, Slot, Task
from data.practice.domains.bank import goals, tools
from data.practice.domains.sql import row

SLOTS: dict[str, Slot] = {
    slot.name: slot
    for slot in (
        Slot("customer_id", cues=("customer n", "client n"), spoken="customer number"),
        Slot("birth_date", "birth_date", cues=("birth", "born"), spoken="date of birth"),
        Slot("account_type", cues=("which account", "account", "what account"), spoken="account"),
        Slot("card_type", cues=("which card", "card"), spoken="card"),
        Slot("merchant", cues=("merchant", "shop", "paid to", "payment was it"), spoken="shop"),
        Slot("payee", cues=("whom", "who", "payee", "recipient", "receive"), spoken="payee"),
        Slot("amount", "count", unit=("euro", "euros"), cues=("amount", "how much", "sum")),
        Slot(
            "reason",
            cues=("why", "happened", "reason", "wrong", "problem"),
            synonyms={
                "lost": ("lost", "I lost it", "it's lost"),
                "stolen": ("stolen", "it was stolen", "someone stole it"),
                "damaged": ("damaged", "it's damaged", "the chip is damaged"),
                "not recognised": ("not recognised", "I don't recognise it", "I never made it"),
                "charged twice": ("charged twice", "I was charged twice", "they charged me twice"),
                "wrong amount": ("wrong amount", "the amount is wrong", "they took the wrong amount"),
            },
        ),
        Slot("paid_on", "date", spoken="day of the payment"),
        *(Slot(name) for name in ("balance", "last_digits", "status", "reference", "name")),
    )
}

_WHO = (("customer_id",), ("birth_date",))
_VERIFY = Lookup("verify_customer", ("customer_id", "birth_date"), revise=("customer_id", "birth_date"))
_ACCOUNT = Lookup("list_accounts", ("customer_id", "account_type"), keeps=("account_id",))

TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task(
            "check_balance",
            tools.BANK,
            goals.check_balance,
            needs=(*_WHO, ("account_type",)),
            before=(_VERIFY,),
            read="list_accounts",
            read_slots=("customer_id", "account_type"),
            outcome="tell",
            told=("account_type", "balance"),
        ),
        Task(
            "transfer_money",
            tools.BANK,
            goals.transfer_money,
            needs=(*_WHO, ("payee",), ("account_type",)),
            before=(_VERIFY, _ACCOUNT),
            read="find_payee",
            read_slots=("customer_id", "payee"),
            then=(("amount",),),
            write="transfer_money",
            carry=("account_id", "payee_id"),
            write_slots=("amount",),
            confirm=("amount", "payee", "account_type"),
            report=("reference", "balance"),
        ),
        Task(
            "block_card",
            tools.BANK,
            goals.block_card,
            needs=(*_WHO, ("card_type",)),
            before=(_VERIFY,),
            read="list_cards",
            read_slots=("customer_id", "card_type"),
            told=("card_type", "last_digits"),
            then=(("reason",),),
            write="block_card",
            carry=("card_id",),
            write_slots=("reason",),
            confirm=("card_type", "last_digits", "reason"),
            report=("reference",),
        ),
        Task(
            "find_payment",
            tools.BANK,
            goals.find_payment,
            needs=(*_WHO, ("account_type",), ("merchant",)),
            before=(_VERIFY, _ACCOUNT),
            read="find_payments",
            read_slots=("account_id", "merchant"),
            outcome="tell",
            told=("merchant", "paid_on", "amount"),
        ),
        Task(
            "dispute_payment",
            tools.DISPUTES,
            goals.dispute_payment,
            needs=(*_WHO, ("account_type",), ("merchant",)),
            before=(_VERIFY, _ACCOUNT),
            read="find_payments",
            read_slots=("account_id", "merchant"),
            told=("merchant", "paid_on", "amount"),
            then=(("reason",),),
            write="dispute_payment",
            carry=("payment_id",),
            write_slots=("reason",),
            confirm=("merchant", "paid_on", "amount", "reason"),
            report=("reference",),
        ),
    )
}

ERRANDS: dict[Slice, tuple[tuple[str, ...], ...]] = {
    "seen": (
        *[("check_balance",)] * 2,
        *[("transfer_money",)] * 7,
        *[("block_card",)] * 5,
        *[("find_payment",)] * 2,
        *[("check_balance", "transfer_money")] * 3,
        *[("find_payment", "block_card")] * 3,
        *[("transfer_money", "block_card")] * 2,
        ("block_card", "check_balance"),
        ("transfer_money", "check_balance"),
        ("transfer_money", "transfer_money"),
    ),
    "unseen_in_test": (("dispute_payment",),),
    "mixed": (
        *[("dispute_payment", "block_card")] * 3,
        *[("find_payment", "dispute_payment")] * 2,
        ("check_balance", "dispute_payment"),
        ("dispute_payment", "transfer_money"),
    ),
}


def _of_another_customer(payee_or_account: str) -> str:
    return f"SELECT customer_id FROM {payee_or_account}s WHERE {payee_or_account}_id = ?"


POLICY = Policy(
    text=(
        "Verify the customer by number and date of birth before anything else, and speak of their own data only. "
        f"Confirm every transfer, block and dispute first. Transfers above {tools.LIMIT} euros or beyond the balance "
        "are not possible here."
    ),
    verify="verify_customer",
    protected=tuple(name for name in tools.TOOLS if name != "verify_customer"),
    owners={
        "customer_id": "SELECT customer_id FROM customers WHERE customer_id = ?",
        "account_id": _of_another_customer("account"),
        "card_id": _of_another_customer("card"),
        "payee_id": _of_another_customer("payee"),
        "payment_id": "SELECT customer_id FROM payments JOIN accounts USING (account_id) WHERE payment_id = ?",
    },
    rules=(
        Rule(
            "beyond_the_balance",
            ("transfer_money",),
            lambda connection, call: bool(
                row(connection, "SELECT 1 FROM accounts WHERE account_id = :account_id AND balance < :amount", call)
            ),
        ),
    ),
)
