"""The bank's tools: what a model sees of them, and what they do in SQL."""

from __future__ import annotations

import sqlite3

from data.practice.declarations import Row, Tool
from data.practice.domains.bank.vocabulary import ACCOUNTS, BLOCK_REASONS, CARDS, DISPUTE_REASONS
from data.practice.domains.sql import DATE, TEXT, count, one_of, reference, row, rows, tool

BANK, DISPUTES = "bank", "dispute"
LIMIT = 1000


def verify_customer(connection: sqlite3.Connection, arguments: Row) -> list[Row]:
    """The customer whose number and birth date match."""
    sql = "SELECT customer_id, name FROM customers WHERE customer_id = :customer_id AND birth_date = :birth_date"
    return rows(connection, sql, arguments)


def list_accounts(connection: sqlite3.Connection, arguments: Row) -> list[Row]:
    """Accounts of a customer, of one type if asked for."""
    sql = """SELECT account_id, account_type, balance FROM accounts WHERE customer_id = :customer_id
        AND (:account_type IS NULL OR account_type = :account_type) ORDER BY account_type"""
    return rows(connection, sql, {"account_type": None, **arguments})


def list_cards(connection: sqlite3.Connection, arguments: Row) -> list[Row]:
    """Cards of a customer, of one type if asked for."""
    sql = """SELECT card_id, card_type, last_digits, status FROM cards WHERE customer_id = :customer_id
        AND (:card_type IS NULL OR card_type = :card_type) ORDER BY card_type"""
    return rows(connection, sql, {"card_type": None, **arguments})


def find_payee(connection: sqlite3.Connection, arguments: Row) -> list[Row]:
    """A stored payee of a customer."""
    sql = "SELECT payee_id, payee FROM payees WHERE customer_id = :customer_id AND payee = :payee"
    return rows(connection, sql, arguments)


def find_payments(connection: sqlite3.Connection, arguments: Row) -> list[Row]:
    """Recent payments from an account to a merchant, newest first."""
    sql = """SELECT payment_id, merchant, paid_on, amount FROM payments WHERE account_id = :account_id
        AND (:merchant IS NULL OR merchant = :merchant) ORDER BY paid_on DESC, payment_id"""
    return rows(connection, sql, {"merchant": None, **arguments})


def transfer_money(connection: sqlite3.Connection, arguments: Row) -> Row:
    """Move money from an account to a stored payee of the same customer."""
    sql = """SELECT balance FROM accounts JOIN payees USING (customer_id)
        WHERE account_id = :account_id AND payee_id = :payee_id"""
    if (account := row(connection, sql, arguments)) is None:
        return {"error": "no such account and payee of one customer"}
    if account["balance"] < arguments["amount"]:
        return {"error": f"not enough money: the balance is {account['balance']}"}
    made = "SELECT count(*) AS number FROM transfers WHERE account_id = :account_id AND payee_id = :payee_id"
    number = connection.execute(f"{made} AND amount = :amount", arguments).fetchone()["number"]
    new = {**arguments, "number": number}
    new["reference"] = reference("transfer", *(new[name] for name in ("account_id", "payee_id", "amount", "number")))
    connection.execute("INSERT INTO transfers VALUES (:reference, :account_id, :payee_id, :amount, :number)", new)
    connection.execute("UPDATE accounts SET balance = balance - :amount WHERE account_id = :account_id", arguments)
    return {"status": "sent", "reference": new["reference"], "balance": account["balance"] - arguments["amount"]}


def block_card(connection: sqlite3.Connection, arguments: Row) -> Row:
    """Block an active card."""
    card = row(connection, "SELECT status, last_digits FROM cards WHERE card_id = :card_id", arguments)
    if card is None:
        return {"error": "card not found"}
    if card["status"] != "active":
        return {"error": "card is already blocked"}
    connection.execute("UPDATE cards SET status = 'blocked', reason = :reason WHERE card_id = :card_id", arguments)
    return {"status": "blocked", "reference": reference("block", arguments["card_id"])}


def dispute_payment(connection: sqlite3.Connection, arguments: Row) -> Row:
    """Open a dispute about a payment, once."""
    payment = row(connection, "SELECT amount FROM payments WHERE payment_id = :payment_id", arguments)
    if payment is None:
        return {"error": "payment not found"}
    if row(connection, "SELECT 1 FROM disputes WHERE payment_id = :payment_id", arguments):
        return {"error": "payment is already disputed"}
    new = {**arguments, "reference": reference("dispute", arguments["payment_id"])}
    connection.execute("INSERT INTO disputes VALUES (:payment_id, :reference, :reason)", new)
    return {"status": "opened", "reference": new["reference"], "amount": payment["amount"]}


TOOLS: dict[str, Tool] = {
    one.spec.name: one
    for one in (
        tool(
            BANK,
            verify_customer,
            "Verify a customer by number and date of birth. Empty if they do not match.",
            {"customer_id": TEXT, "birth_date": DATE},
        ),
        tool(
            BANK,
            list_accounts,
            "Accounts of a verified customer, with balance in euros.",
            {"customer_id": TEXT, "account_type": one_of(*ACCOUNTS)},
            optional=("account_type",),
        ),
        tool(
            BANK,
            list_cards,
            "Cards of a verified customer.",
            {"customer_id": TEXT, "card_type": one_of(*CARDS)},
            optional=("card_type",),
        ),
        tool(BANK, find_payee, "A stored payee of a verified customer.", {"customer_id": TEXT, "payee": TEXT}),
        tool(
            BANK,
            find_payments,
            "Recent payments from an account, newest first.",
            {"account_id": TEXT, "merchant": TEXT},
            optional=("merchant",),
        ),
        tool(
            BANK,
            transfer_money,
            f"Transfer euros, {LIMIT} at most, from an account to a stored payee.",
            {"account_id": TEXT, "payee_id": TEXT, "amount": count(LIMIT)},
            is_write=True,
        ),
        tool(
            BANK,
            block_card,
            "Block a card for good.",
            {"card_id": TEXT, "reason": one_of(*BLOCK_REASONS)},
            is_write=True,
        ),
        tool(
            DISPUTES,
            dispute_payment,
            "Open a dispute about a payment found by find_payments.",
            {"payment_id": TEXT, "reason": one_of(*DISPUTE_REASONS)},
            is_write=True,
        ),
    )
}
