"""The bank's entities: customers, their accounts, cards, payees and recent payments, in seeded tables."""

from __future__ import annotations

import sqlite3
from datetime import date, timedelta
from random import Random

from data.practice.domains.bank.vocabulary import ACCOUNTS, BANKS, CARDS, MERCHANTS, PAYEES
from data.practice.domains.people import birth_date, full_names, numbers

CUSTOMERS = 6
_TABLES = """
CREATE TABLE customers (customer_id TEXT PRIMARY KEY, name TEXT, birth_date TEXT);
CREATE TABLE accounts (account_id TEXT PRIMARY KEY, customer_id TEXT, account_type TEXT, balance INTEGER);
CREATE TABLE cards (card_id TEXT PRIMARY KEY, customer_id TEXT, card_type TEXT, last_digits TEXT, status TEXT,
                    reason TEXT);
CREATE TABLE payees (payee_id TEXT PRIMARY KEY, customer_id TEXT, payee TEXT);
CREATE TABLE payments (payment_id TEXT PRIMARY KEY, account_id TEXT, merchant TEXT, paid_on TEXT, amount INTEGER);
CREATE TABLE transfers (reference TEXT, account_id TEXT, payee_id TEXT, amount INTEGER, number INTEGER);
CREATE TABLE disputes (payment_id TEXT PRIMARY KEY, reference TEXT, reason TEXT);
"""


def build(connection: sqlite3.Connection, rng: Random, today: date) -> str:
    """Fill an empty database with one bank's customers and return its name."""
    connection.executescript(_TABLES)
    connection.execute("BEGIN")
    customers = numbers(rng, CUSTOMERS, 6)
    people = zip(customers, full_names(rng, CUSTOMERS), strict=True)
    connection.executemany("INSERT INTO customers VALUES (?, ?, ?)", [(*one, birth_date(rng)) for one in people])
    accounts = _accounts(connection, rng, customers)
    _cards(connection, rng, customers)
    _payees(connection, rng, customers)
    _payments(connection, rng, accounts, today)
    connection.execute("COMMIT")
    return rng.choice(BANKS)


def _accounts(connection: sqlite3.Connection, rng: Random, customers: list[str]) -> list[str]:
    held = [
        (customer, kind)
        for customer in customers
        for kind in ("current", *rng.sample(ACCOUNTS[1:], k=rng.choice((1, 2))))
    ]
    ids = [f"A{number}" for number in numbers(rng, len(held), 4)]
    rows = [(code, *one, rng.randrange(60, 4000)) for code, one in zip(ids, held, strict=True)]
    connection.executemany("INSERT INTO accounts VALUES (?, ?, ?, ?)", rows)
    return ids


def _cards(connection: sqlite3.Connection, rng: Random, customers: list[str]) -> None:
    held = [(customer, kind) for customer in customers for kind in CARDS]
    ids, digits = numbers(rng, len(held), 3), numbers(rng, len(held), 4)
    rows = [
        (f"K{code}", *one, last, "blocked" if rng.random() < 0.08 else "active", None)
        for code, one, last in zip(ids, held, digits, strict=True)
    ]
    connection.executemany("INSERT INTO cards VALUES (?, ?, ?, ?, ?, ?)", rows)


def _payees(connection: sqlite3.Connection, rng: Random, customers: list[str]) -> None:
    held = [(customer, payee) for customer in customers for payee in rng.sample(PAYEES, k=3)]
    rows = [(f"P{code}", *one) for code, one in zip(numbers(rng, len(held), 3), held, strict=True)]
    connection.executemany("INSERT INTO payees VALUES (?, ?, ?)", rows)


def _payments(connection: sqlite3.Connection, rng: Random, accounts: list[str], today: date) -> None:
    made = [(account, merchant) for account in accounts for merchant in rng.sample(MERCHANTS, k=3)]
    rows = [
        (f"T{code}", *one, (today - timedelta(days=rng.randrange(1, 28))).isoformat(), rng.randrange(4, 240))
        for code, one in zip(numbers(rng, len(made), 4), made, strict=True)
    ]
    connection.executemany("INSERT INTO payments VALUES (?, ?, ?, ?, ?)", rows)
