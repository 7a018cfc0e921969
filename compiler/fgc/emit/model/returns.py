"""Narrows return annotations after branches were removed: types that only these returned are dropped."""

from collections.abc import Iterator

import libcst as cst


def narrow_returns(before: cst.ClassDef, after: cst.ClassDef) -> cst.ClassDef:
    """Returns the class with return annotations that lack the types only `before` constructs in a `return`."""
    was = {method.name.value: set(_constructed(method)) for method in _methods(before)}
    body = [
        _narrowed(item, was.get(item.name.value, set()) - set(_constructed(item)))
        if isinstance(item, cst.FunctionDef)
        else item
        for item in after.body.body
    ]
    return after.with_changes(body=after.body.with_changes(body=body))


def _methods(node: cst.ClassDef) -> Iterator[cst.FunctionDef]:
    return (item for item in node.body.body if isinstance(item, cst.FunctionDef))


def _narrowed(method: cst.FunctionDef, gone: set[str]) -> cst.FunctionDef:
    if not gone or method.returns is None:
        return method
    members = list(_members(method.returns.annotation))
    kept = [member for member in members if not (isinstance(member, cst.Name) and member.value in gone)]
    if not kept or len(kept) == len(members):
        return method
    union = kept[0]
    for member in kept[1:]:
        union = cst.BinaryOperation(union, cst.BitOr(), member)
    return method.with_changes(returns=method.returns.with_changes(annotation=union))


def _members(annotation: cst.BaseExpression) -> Iterator[cst.BaseExpression]:
    match annotation:
        case cst.BinaryOperation(left=left, operator=cst.BitOr(), right=right):
            yield from _members(left)
            yield from _members(right)
        case _:
            yield annotation


def _constructed(method: cst.FunctionDef) -> Iterator[str]:
    """Yields the names that the method's `return` statements call."""

    class Collector(cst.CSTVisitor):
        def __init__(self) -> None:
            super().__init__()
            self.found: list[str] = []

        def visit_Return(self, node: cst.Return) -> None:
            match node.value:
                case cst.Call(func=cst.Name(value=name)):
                    self.found.append(name)
                case _:
                    pass

    collector = Collector()
    method.visit(collector)
    yield from collector.found
