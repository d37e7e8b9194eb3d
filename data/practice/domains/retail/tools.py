"""The shop's tools: what a model sees of them, and what they do in SQL."""

from __future__ import annotations

import sqlite3

from data.practice.declarations import Row, Tool
from data.practice.domains.retail.entities import RETURN_DAYS
from data.practice.domains.retail.vocabulary import COLOURS, PRODUCTS, REFUNDS, RETURN_REASONS
from data.practice.domains.sql import TEXT, one_of, reference, row, rows, tool

RETAIL, CANCELLATIONS = "retail", "cancel"

_ITEM = f"""SELECT *, julianday((SELECT today FROM clock)) - julianday(ordered_on) > {RETURN_DAYS} AS too_late
    FROM items JOIN orders USING (order_id) JOIN products USING (product_id) WHERE item_id = :item_id"""


def find_customer(connection: sqlite3.Connection, arguments: Row) -> list[Row]:
    """The customer whose e-mail address and postcode match."""
    sql = "SELECT customer_id, name FROM customers WHERE lower(email) = lower(:email) AND postcode = :postcode"
    return rows(connection, sql, arguments)


def list_orders(connection: sqlite3.Connection, arguments: Row) -> list[Row]:
    """Orders of a customer, newest first, with a product if asked for."""
    sql = """SELECT order_id, ordered_on, order_status, sum(price) AS total_price
        FROM orders JOIN items USING (order_id) JOIN products USING (product_id) WHERE customer_id = :customer_id
        GROUP BY order_id HAVING :product IS NULL OR sum(product = :product) > 0 ORDER BY ordered_on DESC, order_id"""
    return rows(connection, sql, {"product": None, **arguments})


def list_items(connection: sqlite3.Connection, arguments: Row) -> list[Row]:
    """Items of an order."""
    sql = """SELECT item_id, product, colour, size, price FROM items JOIN products USING (product_id)
        WHERE order_id = :order_id AND (:product IS NULL OR product = :product) ORDER BY item_id"""
    return rows(connection, sql, {"product": None, **arguments})


def track_order(connection: sqlite3.Connection, arguments: Row) -> list[Row]:
    """Where the parcel of a shipped order is."""
    return rows(connection, "SELECT carrier, place, expected FROM parcels WHERE order_id = :order_id", arguments)


def search_products(connection: sqlite3.Connection, arguments: Row) -> list[Row]:
    """Products in stock."""
    sql = """SELECT product_id, product, colour, size, price FROM products WHERE product = :product AND stock > 0
        AND (:colour IS NULL OR colour = :colour) AND (:size IS NULL OR size = :size) ORDER BY price, product_id"""
    return rows(connection, sql, {"colour": None, "size": None, **arguments})


def return_item(connection: sqlite3.Connection, arguments: Row) -> Row:
    """Take back a delivered item that was neither returned nor exchanged."""
    item = row(connection, _ITEM, arguments)
    if error := _unmovable(item):
        return error
    assert item is not None
    new = {**arguments, "reference": reference("return", arguments["item_id"])}
    connection.execute("INSERT INTO returns VALUES (:item_id, :reference, :reason, :refund_to)", new)
    connection.execute("UPDATE items SET item_status = 'returned' WHERE item_id = :item_id", arguments)
    return {"status": "accepted", "reference": new["reference"], "refund": item["price"]}


def exchange_item(connection: sqlite3.Connection, arguments: Row) -> Row:
    """Exchange a delivered item for another size or colour of the same product."""
    item = row(connection, _ITEM, arguments)
    if error := _unmovable(item):
        return error
    assert item is not None
    product = row(connection, "SELECT * FROM products WHERE product_id = :product_id", arguments)
    if product is None or product["stock"] < 1 or product["product"] != item["product"]:
        return {"error": "not in stock, or not the same product"}
    new = {**arguments, "reference": reference("exchange", arguments["item_id"])}
    connection.execute("INSERT INTO exchanges VALUES (:item_id, :reference, :product_id)", new)
    connection.execute("UPDATE items SET item_status = 'exchanged' WHERE item_id = :item_id", arguments)
    connection.execute("UPDATE products SET stock = stock - 1 WHERE product_id = :product_id", arguments)
    return {"status": "exchanged", "reference": new["reference"], "colour": product["colour"], "size": product["size"]}


def _unmovable(item: Row | None) -> Row | None:
    """Why an item can be neither returned nor exchanged, as the tool's answer."""
    if item is None:
        return {"error": "item not found"}
    if item["order_status"] != "delivered":
        return {"error": "only delivered items can be sent back"}
    if item["too_late"]:
        return {"error": f"it was ordered more than {RETURN_DAYS} days ago"}
    return {"error": f"item is already {item['item_status']}"} if item["item_status"] != "kept" else None


def cancel_order(connection: sqlite3.Connection, arguments: Row) -> Row:
    """Cancel an order that was not sent yet."""
    order = row(connection, "SELECT order_status FROM orders WHERE order_id = :order_id", arguments)
    if order is None:
        return {"error": "order not found"}
    if order["order_status"] != "processing":
        return {"error": f"order is already {order['order_status']}"}
    sql = """SELECT sum(price) AS refund FROM items JOIN products USING (product_id) WHERE order_id = :order_id"""
    refund = connection.execute(sql, arguments).fetchone()["refund"]
    connection.execute("UPDATE orders SET order_status = 'cancelled' WHERE order_id = :order_id", arguments)
    return {"status": "cancelled", "reference": reference("cancel", arguments["order_id"]), "refund": refund}


TOOLS: dict[str, Tool] = {
    one.spec.name: one
    for one in (
        tool(
            RETAIL,
            find_customer,
            "Identify a customer by e-mail address and postcode. Empty if they do not match.",
            {"email": TEXT, "postcode": TEXT},
        ),
        tool(
            RETAIL,
            list_orders,
            "Orders of a customer, newest first; with product, those that contain it.",
            {"customer_id": TEXT, "product": one_of(*PRODUCTS)},
            optional=("product",),
        ),
        tool(
            RETAIL,
            list_items,
            "Items of an order.",
            {"order_id": TEXT, "product": one_of(*PRODUCTS)},
            optional=("product",),
        ),
        tool(RETAIL, track_order, "Where the parcel of a shipped order is.", {"order_id": TEXT}),
        tool(
            RETAIL,
            search_products,
            "Products in stock.",
            {"product": one_of(*PRODUCTS), "colour": one_of(*COLOURS), "size": TEXT},
            optional=("colour", "size"),
        ),
        tool(
            RETAIL,
            return_item,
            "Return a delivered item.",
            {"item_id": TEXT, "reason": one_of(*RETURN_REASONS), "refund_to": one_of(*REFUNDS)},
            is_write=True,
        ),
        tool(
            RETAIL,
            exchange_item,
            "Exchange a delivered item for another size or colour found by search_products.",
            {"item_id": TEXT, "product_id": TEXT},
            is_write=True,
        ),
        tool(CANCELLATIONS, cancel_order, "Cancel an order in processing.", {"order_id": TEXT}, is_write=True),
    )
}
