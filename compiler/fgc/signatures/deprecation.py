"""Definitions to what they say of their own deprecation: a decorator (PEP 702), or a warning at the first statement."""

import ast

from fgc.signatures.values import ClassValue, FunctionValue

_CATEGORIES = {"DeprecationWarning", "FutureWarning", "PendingDeprecationWarning"}
_WARNERS = {"warn", "warn_deprecated", "warning_once"}


def deprecation(value: ClassValue | FunctionValue) -> str | None:
    """The message of a deprecated class or function; None if it is not deprecated whatever it is called with."""
    nodes = [value.node] if isinstance(value, ClassValue) else [*value.nodes]
    messages = [_message(node) for node in nodes]
    if not messages or any(message is None for message in messages):
        return None  # of overloads, one that is not deprecated may be meant
    return messages[0]


def _message(node: ast.AST) -> str | None:
    for decorator in getattr(node, "decorator_list", ()):
        if isinstance(decorator, ast.Call) and _name(decorator.func) == "deprecated":
            return _text(decorator.args[0]) if decorator.args else ""
    body = node.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else _constructor(node)
    for statement in body[:3]:  # behind the docstring, before anything depends on the arguments
        match statement:
            case ast.Expr(value=ast.Call(func=func) as call) if _name(func) in _WARNERS and _is_deprecation(call):
                return _text(call.args[0]) if call.args else ""
            case ast.Expr(value=ast.Constant()):
                continue
            case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Call(func=ast.Name(id="super"))))):
                continue
            case _:
                return None
    return None


def _constructor(node: ast.AST) -> list[ast.stmt]:
    statements = node.body if isinstance(node, ast.ClassDef) else []
    inits = [item for item in statements if getattr(item, "name", "") == "__init__"]
    return inits[0].body if len(inits) == 1 and isinstance(inits[0], ast.FunctionDef) else []


def _is_deprecation(call: ast.Call) -> bool:
    given = [*call.args, *(keyword.value for keyword in call.keywords)]
    return any(_name(item) in _CATEGORIES for item in given)


def _name(node: ast.expr) -> str:
    return str(getattr(node, "attr", getattr(node, "id", "")))


def _text(node: ast.expr) -> str:
    """A message as far as it is written out."""
    match node:
        case ast.Constant(value=str(text)):
            return " ".join(text.split())
        case ast.JoinedStr(values=values):
            parts = (item.value if isinstance(item, ast.Constant) else "..." for item in values)
            return " ".join("".join(map(str, parts)).split())
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return f"{_text(left)} {_text(right)}".strip()
        case _:
            return ""
