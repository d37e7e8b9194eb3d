"""The shop's entities: customers, their orders and items, parcels under way, and what is in stock."""

from __future__ import annotations

import sqlite3
from datetime import date, timedelta
from random import Random

from data.practice.domains.people import full_names, numbers
from data.practice.domains.retail.vocabulary import CARRIERS, COLOURS, PARCEL_PLACES, PRODUCTS, SHOPS, STREETS

CUSTOMERS = 5
STATUSES = ("processing", "shipped", "delivered")
RETURN_DAYS = 30
_MAILS = ("example.org", "example.com", "example.net")
_TABLES = """
CREATE TABLE customers (customer_id TEXT PRIMARY KEY, name TEXT, email TEXT, postcode TEXT);
CREATE TABLE orders (order_id TEXT PRIMARY KEY, customer_id TEXT, ordered_on TEXT, order_status TEXT, address TEXT);
CREATE TABLE products (product_id TEXT PRIMARY KEY, product TEXT, colour TEXT, size TEXT, price INTEGER, stock INTEGER);
CREATE TABLE items (item_id TEXT PRIMARY KEY, order_id TEXT, product_id TEXT, item_status TEXT);
CREATE TABLE parcels (order_id TEXT PRIMARY KEY, carrier TEXT, place TEXT, expected TEXT);
CREATE TABLE returns (item_id TEXT PRIMARY KEY, reference TEXT, reason TEXT, refund_to TEXT);
CREATE TABLE clock (today TEXT);
CREATE TABLE exchanges (item_id TEXT PRIMARY KEY, reference TEXT, product_id TEXT);
"""


def build(connection: sqlite3.Connection, rng: Random, today: date) -> str:
    """Fill an empty database with one shop's orders and return its name."""
    connection.executescript(_TABLES)
    connection.execute("BEGIN")
    connection.execute("INSERT INTO clock VALUES (?)", (today.isoformat(),))
    customers = _customers(connection, rng)
    products = _products(connection, rng)
    _orders(connection, rng, customers, products, today)
    connection.execute("COMMIT")
    return rng.choice(SHOPS)


def _customers(connection: sqlite3.Connection, rng: Random) -> list[str]:
    ids, codes = [f"C{number}" for number in numbers(rng, CUSTOMERS, 4)], numbers(rng, CUSTOMERS, 5)
    rows = []
    for customer, name, postcode in zip(ids, full_names(rng, CUSTOMERS), codes, strict=True):
        first, last = name.lower().split()
        user = rng.choice((f"{first}.{last}", f"{first[0]}{last}", f"{last}{rng.randrange(10, 99)}"))
        rows.append((customer, name, f"{user}@{rng.choice(_MAILS)}", postcode))
    connection.executemany("INSERT INTO customers VALUES (?, ?, ?, ?)", rows)
    return ids


def _products(connection: sqlite3.Connection, rng: Random) -> dict[str, list[str]]:
    """Every product in two colours and all sizes; about a fifth is sold out."""
    kinds = []
    for product in rng.sample(list(PRODUCTS), k=6):
        sizes, (low, high) = PRODUCTS[product]
        price = rng.randrange(low, high)
        kinds += [(product, colour, size, price) for colour in rng.sample(COLOURS, k=2) for size in sizes]
    products: dict[str, list[str]] = {}
    rows = []
    for code, kind in zip(numbers(rng, len(kinds), 4), kinds, strict=True):
        products.setdefault(kind[0], []).append(f"S{code}")
        rows.append((f"S{code}", *kind, rng.choice((0, 1, 2, 5, 9))))
    connection.executemany("INSERT INTO products VALUES (?, ?, ?, ?, ?, ?)", rows)
    return products


def _orders(
    connection: sqlite3.Connection, rng: Random, customers: list[str], products: dict[str, list[str]], today: date
) -> None:
    orders, items, parcels = [], [], []
    ids, item_ids = iter(numbers(rng, 3 * CUSTOMERS, 5)), iter(numbers(rng, 9 * CUSTOMERS, 4))
    for customer in customers:
        address = f"{rng.choice(STREETS)} {rng.randrange(1, 90)}"
        wardrobe = iter(rng.sample(list(products), k=len(products)))  # a product once: it names the order
        for status in ("delivered", *rng.sample(STATUSES, k=2)):
            order = f"O{next(ids)}"
            age = {"processing": (0, 3), "shipped": (2, 7), "delivered": (6, 37)}[status]
            placed = today - timedelta(days=rng.randrange(*age))
            orders.append((order, customer, placed.isoformat(), status, address))
            bought = [next(wardrobe) for _ in range(rng.choice((1, 2)))]
            items += [(f"I{next(item_ids)}", order, rng.choice(products[one]), "kept") for one in bought]
            if status == "shipped":
                expected = (today + timedelta(days=rng.randrange(1, 6))).isoformat()
                parcels.append((order, rng.choice(CARRIERS), rng.choice(PARCEL_PLACES), expected))
    connection.executemany("INSERT INTO orders VALUES (?, ?, ?, ?, ?)", orders)
    connection.executemany("INSERT INTO items VALUES (?, ?, ?, ?)", items)
    connection.executemany("INSERT INTO parcels VALUES (?, ?, ?, ?)", parcels)
