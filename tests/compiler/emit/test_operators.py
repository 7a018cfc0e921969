"""Calls of operators read as the operators they are, with parentheses only where they are needed."""

from collections.abc import Sequence
from typing import Any

import pytest
from fgc.emit import emit_program
from fgc.ir import Call, CallKind, GraphBuilder, ListNode, Literal, NodeId

from tests.compiler.emit.graphs import HERE, symbol

Tree = Any  # a scalar, a list, or a tuple of a callable and its arguments


def returned(tree: Tree) -> str:
    """Returns what the program of a tree of calls returns, as source text."""
    builder = GraphBuilder()

    def add(part: Tree) -> NodeId:
        match part:
            case (str() as name, *arguments):
                nodes = tuple(add(argument) for argument in arguments)
                return builder.add(Call(symbol(name), CallKind.SINGLETON, nodes, (), HERE))
            case list():
                return builder.add(ListNode(tuple(add(item) for item in part), HERE))
            case _:
                return builder.add(Literal(part, HERE))

    program = emit_program(builder.finish({"main": add(tree)}), ["main"]).value
    assert program is not None
    return program.text.partition("return ")[2].strip()


def op(name: str, *operands: Tree) -> Sequence[Tree]:
    return (f"operator:{name}", *operands)


D = ("fgcase:data",)


@pytest.mark.parametrize(
    ("tree", "text"),
    [
        (op("mul", op("add", 1, 2), 3), "(1 + 2) * 3"),
        (op("add", 1, op("mul", 2, 3)), "1 + 2 * 3"),
        (op("sub", 1, op("sub", 2, 3)), "1 - (2 - 3)"),
        (op("pow", op("pow", 2, 3), 2), "(2**3) ** 2"),
        (op("pow", 2, op("pow", 3, 2)), "2**3**2"),
        (op("pow", -1, 2), "(-1) ** 2"),
        (op("neg", op("add", 1, 2)), "-(1 + 2)"),
        (op("lt", op("lt", 1, 2), 3), "(1 < 2) < 3"),
        (op("not_", op("not_", 1)), "not not 1"),
        (op("contains", [1, 2], 1), "1 in [1, 2]"),
        (op("getitem", D, "a"), 'data()["a"]'),
        (("getitem", [1, 2], 1), "[1, 2][1]"),
        (("getitem", [1, 2], "x"), 'operator.getitem([1, 2], "x")'),
        (("getattr", D, "size"), "data().size"),
        (("getattr", D, "class"), 'getattr(data(), "class")'),
        (("getattr", D, "size", 0), 'getattr(data(), "size", 0)'),
        (("getattr", 5, "real"), "(5).real"),
        (("list", ("items", D)), "list(data().items())"),
        (("call", D, 1), "data()(1)"),
        (("call", "text", 1), 'operator.call("text", 1)'),
        (op("eq", D, None), "operator.eq(data(), None)"),
        (op("mod", "%d", 5), 'operator.mod("%d", 5)'),
        (op("is_", 1, 1), "operator.is_(1, 1)"),
        (op("add", 1), "operator.add(1)"),
        (("named_list", [1, 2]), "[1, 2]"),
        (("named_tuple", [1]), "(1,)"),
        (("named_tuple",), "()"),
        (("named_tuple", D), "tuple(data())"),
    ],
)
def test_a_call_reads_as_the_expression_it_is(tree: Tree, text: str) -> None:
    assert returned(tree) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1e-05, "1e-5"),
        (1e16, "1e16"),
        (-0.0, "-0.0"),
        (float("inf"), "math.inf"),
        (float("-inf"), "-math.inf"),
        (float("nan"), "math.nan"),
        ('say "hi"', "'say \"hi\"'"),
        ("a\tb\x00", '"a\\tb\\x00"'),
        ("ünï ☃", '"ünï ☃"'),
    ],
)
def test_a_scalar_reads_as_a_person_writes_it(value: Any, text: str) -> None:
    assert returned(value) == text


def test_an_integer_that_python_refuses_to_read_in_decimal_is_written_in_hexadecimal() -> None:
    assert returned(10**5000) == f"0x{10**5000:X}"
