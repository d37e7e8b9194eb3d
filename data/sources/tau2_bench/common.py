"""What both domains have: a calculator, a colleague to hand over to, and how a row is looked up."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable
from typing import Any

from data.sources.tau2_bench.database import Database, Row
from data.sources.tau2_bench.toolbox import Refused, Toolbox, text

_SIGNS = re.compile(r"[\d+\-*/(). ]{1,200}")
_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Pow: operator.pow,
}
_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {ast.UAdd: operator.pos, ast.USub: operator.neg}
#: Beyond these a power is no sum anybody needs, only a way to stall.
_GREATEST_BASE, _GREATEST_POWER = 1e6, 64


def found(database: Database, table: str, key: str, what: str) -> Row:
    """The row of this key.

    Raises:
        Refused: There is none.
    """
    row = database.get(table, key)
    if row is None:
        raise Refused(f"there is no {what} {key}")
    return row


def payment_method(database: Database, user_id: str, method_id: str) -> Row:
    """One of a customer's payment methods.

    Raises:
        Refused: They have no such method.
    """
    methods = found(database, "users", user_id, "customer")["payment_methods"]
    if method_id not in methods:
        raise Refused(f"the customer has no payment method {method_id}")
    return dict(methods[method_id])


def add_common_tools(toolbox: Toolbox) -> None:
    """Declare the tools that both domains have."""

    @toolbox.tool(
        "Work out a sum, to two decimals.",
        expression=text("Numbers, + - * /, brackets and spaces, such as '3 * (12.5 + 4)'."),
    )
    def calculate(database: Database, expression: str) -> str:
        return str(round(_worked_out(expression), 2))

    @toolbox.tool(
        "Hand the customer over to a human colleague. Only where the customer's wish is beyond what policy and tools"
        " allow, or where policy says so.",
        summary=text("What the customer wants and where it stands, for the colleague."),
    )
    def transfer_to_human_agents(database: Database, summary: str) -> str:
        return "The customer has been handed over."


def _worked_out(expression: str) -> float:
    try:
        if _SIGNS.fullmatch(expression) is None:
            raise Refused("an expression has digits, + - * /, brackets, points and spaces, 200 signs at most")
        return float(_value(ast.parse(expression.strip(), mode="eval").body))
    except (SyntaxError, ValueError, TypeError, ArithmeticError, RecursionError, MemoryError) as error:
        raise Refused(f"the expression cannot be worked out ({type(error).__name__})") from error


def _value(node: ast.expr) -> Any:
    """The value of a parsed sum; nothing but numbers and the operators above is ever looked at."""
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return node.value
    if isinstance(node, ast.UnaryOp) and type(node.op) in _UNARY:
        return _UNARY[type(node.op)](_value(node.operand))
    if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
        left, right = _value(node.left), _value(node.right)
        if isinstance(node.op, ast.Pow) and (abs(left) > _GREATEST_BASE or abs(right) > _GREATEST_POWER):
            raise Refused("numbers this great are not raised to a power")
        return _BINARY[type(node.op)](left, right)
    raise Refused("the expression is no sum of numbers")
