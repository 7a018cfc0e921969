"""Removes tests with a known outcome: the branch that is taken stays, without its test.

    if gate:                     gate is False        ->  y = x
        y = f(x)
    else:
        y = x
    if norm is not None:         norm is NOT_NONE     ->  y = norm(y)
        y = norm(y)

Facts are about names, attributes of `self`, attributes of the base model, and methods that no class of the model has.
A fact is a constant, or only that the value is not None.
"""

import ast
from collections.abc import Mapping, Sequence
from typing import cast

import libcst as cst
from msgspec import Struct

from fgc.ir import Scalar


class Known(Struct, frozen=True):
    """The value of an expression; for `NOT_NONE`, only that it is not None."""

    value: Scalar | tuple[Scalar, ...] = None
    is_object: bool = False

    @property
    def truth(self) -> bool | None:
        return None if self.is_object else bool(self.value)


NOT_NONE = Known(is_object=True)
ANY_OBJECT = "*"
# keys: `name`, `self.name`, `self.base_model.name`, or `*.name` for `getattr(x, "name", None)`
Facts = Mapping[str, Known]


def fold(node: cst.CSTNode, facts: Facts) -> cst.CSTNode:
    """Returns the node without the tests that the facts decide."""
    return cast(cst.CSTNode, node.visit(_Folder(facts)))


def evaluate(node: cst.BaseExpression, facts: Facts) -> Known | None:
    """Returns the known value of an expression, or None."""
    match node:
        case cst.Name(value="None"):
            return Known(None)
        case cst.Name(value="True" | "False" as text):
            return Known(text == "True")
        case cst.Name(value=name):
            return facts.get(name)
        case cst.Attribute():
            return facts.get(_dotted(node))
        case cst.Integer() | cst.Float() | cst.SimpleString():
            return Known(ast.literal_eval(node.value))
        case cst.Tuple(elements=elements):
            items = [evaluate(element.value, facts) for element in elements]
            values = [item.value for item in items if item is not None and not isinstance(item.value, tuple)]
            return Known(tuple(values)) if len(values) == len(elements) and NOT_NONE not in items else None
        case cst.NamedExpr(value=inner):
            return evaluate(inner, facts)
        case cst.Call(func=cst.Name("getattr"), args=[_, cst.Arg(value=cst.SimpleString(value=name)), _]):
            return facts.get(f"{ANY_OBJECT}.{ast.literal_eval(name)}")
        case cst.UnaryOperation(operator=cst.Not(), expression=inner):
            known = evaluate(inner, facts)
            return None if known is None or known.truth is None else Known(not known.truth)
        case cst.Comparison(left=left, comparisons=[cst.ComparisonTarget(operator=operator, comparator=right)]):
            return _compare(evaluate(left, facts), operator, evaluate(right, facts))
        case cst.BooleanOperation(left=left, operator=operator, right=right):
            return _join(evaluate(left, facts), isinstance(operator, cst.And), evaluate(right, facts))
        case _:
            return None


def _dotted(node: cst.BaseExpression) -> str:
    """Returns the text of a dotted name such as `self.model.name`; empty for other expressions."""
    match node:
        case cst.Name(value=name):
            return name
        case cst.Attribute(value=owner, attr=cst.Name(value=name)) if prefix := _dotted(owner):
            return f"{prefix}.{name}"
        case _:
            return ""


def _compare(left: Known | None, operator: cst.BaseCompOp, right: Known | None) -> Known | None:
    if left is None or right is None:
        return None
    if isinstance(operator, cst.Is | cst.IsNot) and right == Known(None):
        is_none = not left.is_object and left.value is None
        return Known(is_none is isinstance(operator, cst.Is))
    if isinstance(operator, cst.In | cst.NotIn) and isinstance(right.value, tuple) and not left.is_object:
        return Known((left.value in right.value) is isinstance(operator, cst.In))
    if isinstance(operator, cst.Equal | cst.NotEqual) and not left.is_object and not right.is_object:
        return Known((left.value == right.value) is isinstance(operator, cst.Equal))
    return None


def _join(left: Known | None, is_and: bool, right: Known | None) -> Known | None:
    truths = [None if known is None else known.truth for known in (left, right)]
    decisive = not is_and
    if decisive in truths:
        return Known(decisive)
    return Known(is_and) if None not in truths else None


# layout nodes contain no names, and some nodes no tests: visiting them would take half of the time
LAYOUT = (
    *(cst.SimpleWhitespace, cst.ParenthesizedWhitespace, cst.TrailingWhitespace, cst.EmptyLine),
    *(cst.Comma, cst.AssignEqual, cst.Dot, cst.LeftParen, cst.RightParen, cst.Integer, cst.Float, cst.SimpleString),
)
WITHOUT_CODE = (*LAYOUT, cst.Name, cst.Annotation, cst.Parameters, cst.ImportFrom, cst.AssignTarget)


class _Folder(cst.CSTTransformer):
    def __init__(self, facts: Facts) -> None:
        super().__init__()
        self._facts = facts
        self._elifs: set[cst.CSTNode] = set()

    def on_visit(self, node: cst.CSTNode) -> bool:
        return not isinstance(node, WITHOUT_CODE) and super().on_visit(node)

    def visit_If(self, node: cst.If) -> None:
        if isinstance(node.orelse, cst.If):
            self._elifs.add(node.orelse)

    def leave_If(
        self, original_node: cst.If, updated_node: cst.If
    ) -> cst.If | cst.FlattenSentinel[cst.BaseStatement] | cst.RemovalSentinel:
        chain = updated_node.with_changes(orelse=self._decided(updated_node.orelse))
        if original_node in self._elifs:
            return chain
        rest = self._decided(chain)
        if rest is None:
            return cst.RemoveFromParent()
        if isinstance(rest, cst.If):
            if rest.orelse is None and isinstance(rest.body, cst.IndentedBlock) and not rest.body.body:
                return cst.RemoveFromParent()  # nothing is left in it, and its test has no effect
            return rest.with_changes(leading_lines=updated_node.leading_lines)
        return cst.FlattenSentinel(_statements(rest.body, updated_node.leading_lines))

    def leave_Try(
        self, original_node: cst.Try, updated_node: cst.Try
    ) -> cst.Try | cst.FlattenSentinel[cst.BaseStatement]:
        """Removes `try` if nothing is left in its `finally`."""
        final = updated_node.finalbody
        if final is None or updated_node.handlers or not isinstance(final.body, cst.IndentedBlock) or final.body.body:
            return updated_node
        return cst.FlattenSentinel(_statements(updated_node.body, updated_node.leading_lines))

    def leave_IndentedBlock(
        self, original_node: cst.IndentedBlock, updated_node: cst.IndentedBlock
    ) -> cst.IndentedBlock:
        """Removes the statements after a branch that is always taken and leaves the block."""
        for place, statement in enumerate(updated_node.body[:-1]):
            if _leaves(statement):
                return updated_node.with_changes(body=updated_node.body[: place + 1])
        return updated_node

    def leave_IfExp(self, original_node: cst.IfExp, updated_node: cst.IfExp) -> cst.BaseExpression:
        known = evaluate(updated_node.test, self._facts)
        if known is None or known.truth is None:
            return updated_node
        return updated_node.body if known.truth else updated_node.orelse

    def leave_BooleanOperation(
        self, original_node: cst.BooleanOperation, updated_node: cst.BooleanOperation
    ) -> cst.BaseExpression:
        left = evaluate(updated_node.left, self._facts)
        if left is None or left.truth is None or left.truth is not isinstance(updated_node.operator, cst.And):
            return updated_node
        return updated_node.right

    def leave_Assert(self, original_node: cst.Assert, updated_node: cst.Assert) -> cst.Assert | cst.RemovalSentinel:
        known = evaluate(updated_node.test, self._facts)
        return cst.RemoveFromParent() if known is not None and known.truth else updated_node

    def _decided(self, branch: cst.If | cst.Else | None) -> cst.If | cst.Else | None:
        """Returns the first branch that can still be taken."""
        while isinstance(branch, cst.If):
            known = evaluate(branch.test, self._facts)
            if known is None or known.truth is None:
                return branch
            branch = cst.Else(branch.body) if known.truth else branch.orelse
        return branch


def _statements(body: cst.BaseSuite, leading_lines: Sequence[cst.EmptyLine]) -> list[cst.BaseStatement]:
    if isinstance(body, cst.SimpleStatementSuite):
        return [cst.SimpleStatementLine(body.body, leading_lines=leading_lines)]
    first, *rest = cast(Sequence[cst.BaseStatement], body.body)
    return [first.with_changes(leading_lines=leading_lines or first.leading_lines), *rest]  # type: ignore[attr-defined]


def _leaves(statement: cst.BaseStatement) -> bool:
    match statement:
        case cst.SimpleStatementLine(body=[*_, cst.Return() | cst.Raise() | cst.Continue() | cst.Break()]):
            return True
        case _:
            return False
