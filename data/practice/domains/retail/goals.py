"""How goals of the shop's customers are drawn: values the world can satisfy, and at times one said wrongly at first.

Each function takes the random generator, the built database, today's date and what earlier goals of the same customer
fix. A customer names an order by something in it: nobody remembers order numbers.
"""

from __future__ import annotations

import sqlite3
from datetime import date
from random import Random

from data.practice.declarations import Row
from data.practice.domains.people import mistyped
from data.practice.domains.retail.vocabulary import REFUNDS, RETURN_REASONS
from data.practice.domains.sql import rows

Drawn = tuple[Row, Row] | None

_BOUGHT = """SELECT email, postcode, order_id, item_id, product, colour, size FROM customers
    JOIN orders USING (customer_id) JOIN items USING (order_id) JOIN products USING (product_id)
    WHERE order_status = :order_status AND (:email IS NULL OR email = :email) ORDER BY item_id"""


def _bought(rng: Random, connection: sqlite3.Connection, status: str, lasting: Row) -> Row | None:
    """Something bought in an order of this status, by the customer spoken with before if there is one."""
    found = rows(connection, _BOUGHT, {"email": None, **lasting, "order_status": status})
    return rng.choice(found) if found else None


def _customer(rng: Random, bought: Row, lasting: Row) -> tuple[Row, Row]:
    """Who is writing and what they bought, and perhaps a mistyped postcode at first."""
    values = {slot: bought[slot] for slot in ("email", "postcode", "product")}
    mistakes = "email" not in lasting and rng.random() < 0.15
    return values, {"postcode": mistyped(rng, values["postcode"])} if mistakes else {}


def track_order(rng: Random, connection: sqlite3.Connection, today: date, lasting: Row) -> Drawn:
    """Where something is that was sent."""
    bought = _bought(rng, connection, "shipped", lasting)
    return _customer(rng, bought, lasting) if bought else None


def cancel_order(rng: Random, connection: sqlite3.Connection, today: date, lasting: Row) -> Drawn:
    """An order that was not sent yet; now and then one that was, and it is too late."""
    bought = _bought(rng, connection, "shipped" if rng.random() < 0.1 else "processing", lasting)
    return _customer(rng, bought, lasting) if bought else None


def return_item(rng: Random, connection: sqlite3.Connection, today: date, lasting: Row) -> Drawn:
    """Something delivered that is not wanted; now and then too late."""
    if (bought := _bought(rng, connection, "delivered", lasting)) is None:
        return None
    values, first = _customer(rng, bought, lasting)
    refund, other = rng.sample(REFUNDS, k=2)
    if not first and rng.random() < 0.12:
        first = {"refund_to": other}
    return values | {"reason": rng.choice(RETURN_REASONS), "refund_to": refund}, first


def exchange_item(rng: Random, connection: sqlite3.Connection, today: date, lasting: Row) -> Drawn:
    """Something delivered in the wrong size or colour, and another that is in stock; sometimes a sold-out one first."""
    if (bought := _bought(rng, connection, "delivered", lasting)) is None:
        return None
    values, first = _customer(rng, bought, lasting)
    sql = "SELECT colour, size, stock FROM products WHERE product = :product ORDER BY product_id"
    kinds = rows(connection, sql, bought)
    wanted = [
        kind for kind in kinds if kind["stock"] and any(kind[slot] != bought[slot] for slot in ("colour", "size"))
    ]
    if not wanted:
        return None
    wish = rng.choice(wanted)
    gone = [kind for kind in kinds if not kind["stock"] and kind["colour"] == wish["colour"]]
    if not first and gone and rng.random() < 0.3:
        first = {"size": rng.choice(gone)["size"]}
    return values | {"colour": wish["colour"], "size": wish["size"]}, first
