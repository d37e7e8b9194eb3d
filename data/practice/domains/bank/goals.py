"""How goals of bank customers are drawn: values the world can satisfy, and at times a value said wrongly at first.

Each function takes the random generator, the built database, today's date and what earlier goals of the same customer
fix.
"""

from __future__ import annotations

import sqlite3
from datetime import date
from random import Random

from data.practice.declarations import Row
from data.practice.domains.bank.tools import LIMIT
from data.practice.domains.bank.vocabulary import BLOCK_REASONS, DISPUTE_REASONS
from data.practice.domains.people import mistyped
from data.practice.domains.sql import rows

Drawn = tuple[Row, Row] | None


def _customer(rng: Random, connection: sqlite3.Connection, lasting: Row) -> tuple[Row, Row]:
    """Who is calling, and perhaps a mistyped number they give first."""
    everybody = rows(connection, "SELECT customer_id, birth_date FROM customers ORDER BY customer_id", {})
    if "customer_id" in lasting:
        return next(one for one in everybody if one["customer_id"] == lasting["customer_id"]), {}
    customer = rng.choice(everybody)
    return customer, {"customer_id": mistyped(rng, customer["customer_id"])} if rng.random() < 0.15 else {}


def _account(rng: Random, connection: sqlite3.Connection, customer: Row) -> Row:
    sql = "SELECT account_id, account_type, balance FROM accounts WHERE customer_id = :customer_id ORDER BY account_id"
    return rng.choice(rows(connection, sql, customer))


def check_balance(rng: Random, connection: sqlite3.Connection, today: date, lasting: Row) -> Drawn:
    """The balance of one account."""
    customer, first = _customer(rng, connection, lasting)
    return customer | {"account_type": _account(rng, connection, customer)["account_type"]}, first


def transfer_money(rng: Random, connection: sqlite3.Connection, today: date, lasting: Row) -> Drawn:
    """A round or odd sum to a stored payee; at times another sum first, or more than the account holds."""
    customer, first = _customer(rng, connection, lasting)
    account = _account(rng, connection, customer)
    payees = rows(connection, "SELECT payee FROM payees WHERE customer_id = :customer_id ORDER BY payee_id", customer)
    most = min(account["balance"] // 2, LIMIT)  # two transfers of one customer fit
    amount = rng.choice((rng.randrange(10, most + 1), 10 * rng.randrange(1, most // 10 + 1)))
    if not first and rng.random() < 0.15:
        first = {"amount": amount + rng.choice((5, 10, 50, 100))}
    if first.get("amount", 0) > LIMIT:
        first = {}
    values = {"account_type": account["account_type"], "payee": rng.choice(payees)["payee"], "amount": amount}
    return customer | values, first


def block_card(rng: Random, connection: sqlite3.Connection, today: date, lasting: Row) -> Drawn:
    """A card, of which a few are blocked already, and why."""
    customer, first = _customer(rng, connection, lasting)
    cards = rows(connection, "SELECT card_type FROM cards WHERE customer_id = :customer_id ORDER BY card_id", customer)
    return customer | {"card_type": rng.choice(cards)["card_type"], "reason": rng.choice(BLOCK_REASONS)}, first


def find_payment(rng: Random, connection: sqlite3.Connection, today: date, lasting: Row) -> Drawn:
    """A recent payment, known by its account and merchant."""
    customer, first = _customer(rng, connection, lasting)
    account = _account(rng, connection, customer)
    made = rows(connection, "SELECT merchant FROM payments WHERE account_id = :account_id ORDER BY payment_id", account)
    return customer | {"account_type": account["account_type"], "merchant": rng.choice(made)["merchant"]}, first


def dispute_payment(rng: Random, connection: sqlite3.Connection, today: date, lasting: Row) -> Drawn:
    """A recent payment and what is wrong with it; at times another reason first."""
    drawn = find_payment(rng, connection, today, lasting)
    assert drawn is not None
    values, first = drawn
    reason, other = rng.sample(DISPUTE_REASONS, k=2)
    if not first and rng.random() < 0.1:
        first = {"reason": other}
    return values | {"reason": reason}, first
