"""What the shop's tools check before they change an order, and how money moves when they do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce
from operator import add
from typing import Any, NamedTuple

from data.sources.tau2_bench.common import found, payment_method
from data.sources.tau2_bench.database import Database, Row
from data.sources.tau2_bench.toolbox import Refused


class Swap(NamedTuple):
    """An item of an order and the variant that is to take its place."""

    item_id: str
    variant: Row
    difference: float


def order_in(database: Database, order_id: str, status: str, done: str) -> Row:
    """The order, which has to be of this status.

    Raises:
        Refused: There is none, or it is not.
    """
    order = found(database, "orders", order_id, "order")
    if order["status"] != status:
        raise Refused(f"an order that is {order['status']} cannot be {done}")
    return order


def pending_order(database: Database, order_id: str) -> Row:
    """An order that is pending, whether or not its items were changed.

    Raises:
        Refused: There is none, or it is not.
    """
    order = found(database, "orders", order_id, "order")
    if "pending" not in order["status"]:
        raise Refused(f"an order that is {order['status']} cannot be changed")
    return order


def check_covered(database: Database, user_id: str, method_id: str, amount: float) -> None:
    """See that a method pays an amount: a gift card has to hold it.

    Raises:
        Refused: It does not, or there is no such method.
    """
    method = payment_method(database, user_id, method_id)
    if method["source"] == "gift_card" and method["balance"] < amount:
        raise Refused(f"gift card {method_id} holds less than {amount:.2f}")


def credit(database: Database, user_id: str, method_id: str, amount: float) -> None:
    """Book an amount on a gift card at once; with other methods nothing is seen here."""
    if payment_method(database, user_id, method_id)["source"] == "gift_card":
        card = database.edit("users", user_id)["payment_methods"][method_id]
        card["balance"] = round(card["balance"] + amount, 2)


def transaction(kind: str, amount: float, method_id: str) -> dict[str, Any]:
    """An entry of an order's payments."""
    return {"transaction_type": kind, "amount": amount, "payment_method_id": method_id}


def check_contained(order: Row, item_ids: Sequence[str]) -> None:
    """See that an order has these items, each as often as it is named.

    Raises:
        Refused: It has not.
    """
    in_order = [item["item_id"] for item in order["items"]]
    for item_id in item_ids:
        if item_ids.count(item_id) > in_order.count(item_id):
            raise Refused(f"the order has not as many of item {item_id}")


def swaps_of(database: Database, order: Row, item_ids: list[str], new_item_ids: list[str]) -> list[Swap]:
    """What exchanging or changing items comes to.

    Raises:
        Refused: The lists do not match, or the order or the shop has not what they name.
    """
    check_contained(order, item_ids)
    if len(item_ids) != len(new_item_ids):
        raise Refused("there have to be as many new items as old ones")
    return list(_each_swap(database, order, item_ids, new_item_ids))


def _each_swap(database: Database, order: Row, item_ids: list[str], new_item_ids: list[str]) -> Iterator[Swap]:
    for item_id, new_item_id in zip(item_ids, new_item_ids, strict=True):
        item = next(item for item in order["items"] if item["item_id"] == item_id)
        variants = found(database, "products", item["product_id"], "product")["variants"]
        if new_item_id not in variants or not variants[new_item_id]["available"]:
            raise Refused(f"{item['name']} has no variant {new_item_id} in stock")
        yield Swap(item_id, variants[new_item_id], variants[new_item_id]["price"] - item["price"])


def total(swaps: Sequence[Swap]) -> float:
    """Added up one by one: ``sum`` of newer Pythons rounds otherwise, and the amount is part of the state."""
    return reduce(add, (swap.difference for swap in swaps), 0.0)
