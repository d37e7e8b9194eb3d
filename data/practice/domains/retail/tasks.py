"""What customers come to the shop for: its slots and tasks, which come together, and the policy."""

from __future__ import annotations

from data.practice.declarations import Lookup, Policy, Rule, Slice, Slot, Task
from data.practice.domains.retail import goals, tools
from data.practice.domains.retail.entities import RETURN_DAYS
from data.practice.domains.sql import row

SLOTS: dict[str, Slot] = {
    slot.name: slot
    for slot in (
        Slot("email", cues=("e-mail", "mail", "email"), spoken="e-mail address"),
        Slot("postcode", cues=("postcode", "postal", "zip"), spoken="postcode"),
        Slot("product", cues=("which item", "what item", "which order", "which product", "item", "order")),
        Slot("size", cues=("size",)),
        Slot("colour", cues=("colour", "color")),
        Slot(
            "reason",
            cues=("why", "reason", "wrong", "matter", "problem"),
            synonyms={
                "too small": ("too small", "it's too small"),
                "too big": ("too big", "it's too big"),
                "damaged": ("damaged", "it arrived damaged"),
                "not as described": ("not as described", "it's not as described"),
                "change of mind": ("change of mind", "I changed my mind about it"),
            },
        ),
        Slot(
            "refund_to",
            cues=("refund", "money back", "paid back", "gift card", "back to"),
            spoken="refund",
            synonyms={
                "original payment": ("original payment", "back the way I paid, the original payment"),
                "gift card": ("gift card", "a gift card"),
            },
        ),
        Slot("expected", "date", spoken="expected day"),
        Slot("ordered_on", "date", spoken="day of the order"),
        *(
            Slot(name)
            for name in ("carrier", "place", "order_id", "total_price", "price", "refund", "reference", "name")
        ),
    )
}

_WHO = (("email",), ("postcode",))
_CUSTOMER = Lookup("find_customer", ("email", "postcode"), keeps=("customer_id",), revise=("email", "postcode"))
_ORDER = Lookup("list_orders", ("customer_id", "product"), keeps=("order_id", "ordered_on"), revise=("product",))

TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task(
            "track_order",
            tools.RETAIL,
            goals.track_order,
            needs=(*_WHO, ("product",)),
            before=(_CUSTOMER, _ORDER),
            read="track_order",
            read_slots=("order_id",),
            outcome="tell",
            told=("carrier", "place", "expected"),
        ),
        Task(
            "return_item",
            tools.RETAIL,
            goals.return_item,
            needs=(*_WHO, ("product",)),
            before=(_CUSTOMER, _ORDER),
            read="list_items",
            read_slots=("order_id", "product"),
            told=("colour", "size"),
            then=(("reason",), ("refund_to",)),
            write="return_item",
            carry=("item_id",),
            write_slots=("reason", "refund_to"),
            confirm=("product", "colour", "size", "reason", "refund_to"),
            report=("reference", "refund"),
        ),
        Task(
            "exchange_item",
            tools.RETAIL,
            goals.exchange_item,
            needs=(*_WHO, ("product",), ("colour",), ("size",)),
            before=(
                _CUSTOMER,
                _ORDER,
                Lookup("list_items", ("order_id", "product"), keeps=("item_id",)),
            ),
            read="search_products",
            read_slots=("product", "colour", "size"),
            revise=("colour", "size"),
            write="exchange_item",
            carry=("item_id", "product_id"),
            confirm=("product", "ordered_on", "colour", "size"),
            report=("reference", "colour", "size"),
        ),
        Task(
            "cancel_order",
            tools.CANCELLATIONS,
            goals.cancel_order,
            needs=(*_WHO, ("product",)),
            before=(_CUSTOMER,),
            read="list_orders",
            read_slots=("customer_id", "product"),
            told=("ordered_on", "total_price"),
            write="cancel_order",
            carry=("order_id",),
            confirm=("product", "order_id", "ordered_on", "total_price"),
            report=("reference", "refund"),
        ),
    )
}

ERRANDS: dict[Slice, tuple[tuple[str, ...], ...]] = {
    "seen": (
        *[("track_order",)] * 5,
        *[("return_item",)] * 7,
        *[("exchange_item",)] * 7,
        *[("track_order", "return_item")] * 3,
        *[("exchange_item", "track_order")] * 3,
        *[("return_item", "track_order")] * 2,
        ("track_order", "exchange_item"),
    ),
    "unseen_in_test": (("cancel_order",),),
    "mixed": (
        *[("track_order", "cancel_order")] * 2,
        ("return_item", "cancel_order"),
        ("exchange_item", "cancel_order"),
    ),
}

_OF_ORDER = "SELECT customer_id FROM orders WHERE order_id = ?"

POLICY = Policy(
    text=(
        "Identify the customer by e-mail address and postcode before you look at any order, and speak of their own "
        f"orders only. Only delivered things can be returned or exchanged, within {RETURN_DAYS} days of the order. "
        "Exchange for the same product only. Confirm every return, exchange and cancellation first."
    ),
    verify="find_customer",
    protected=tuple(name for name in tools.TOOLS if name not in ("find_customer", "search_products")),
    owners={
        "customer_id": "SELECT customer_id FROM customers WHERE customer_id = ?",
        "order_id": _OF_ORDER,
        "item_id": "SELECT customer_id FROM orders JOIN items USING (order_id) WHERE item_id = ?",
    },
    rules=(
        Rule(
            "another_product",
            ("exchange_item",),
            lambda connection, call: bool(
                row(
                    connection,
                    """SELECT 1 FROM items JOIN products old USING (product_id) JOIN products new
                    ON new.product_id = :product_id AND new.product != old.product WHERE item_id = :item_id""",
                    call,
                )
            ),
        ),
    ),
)
