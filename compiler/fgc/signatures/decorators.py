"""Decorators to what they do to a signature: nothing, something that may add parameters, or who knows what."""

import ast
from collections.abc import Iterator
from enum import IntEnum

from fgc.signatures.modules import PythonModule
from fgc.signatures.resolver import Resolver
from fgc.signatures.values import ClassValue, FunctionValue, NativeValue


class Effect(IntEnum):
    """What a decorator does to the signature of what it decorates; the larger, the less is known."""

    NONE = 0
    OPEN = 1  # a wrapper that looks at its arguments: it may take more
    UNKNOWN = 2


_HARMLESS = {
    *("contextlib.contextmanager", "contextlib.asynccontextmanager", "functools.lru_cache", "functools.cache"),
    *("functools.total_ordering", "functools.singledispatch", "functools.wraps", "abc.abstractmethod"),
    *("dataclasses.dataclass", "torch.no_grad", "torch.enable_grad", "torch.inference_mode"),
    *("torch.utils._contextlib.context_decorator", "torch.compiler.disable", "typing.dataclass_transform"),
    *("torch.autograd.grad_mode.no_grad", "torch.autograd.grad_mode.enable_grad"),
    *("torch.autograd.grad_mode.inference_mode", "transformers.utils.auto_docstring.auto_docstring"),
    *("transformers.utils.import_utils.requires",),
}
_HARMLESS_NAMES = {
    *("staticmethod", "classmethod", "overload", "final", "override", "deprecated", "runtime_checkable"),
    *("no_type_check", "abstractmethod", "dataclass_transform", "disjoint_base", "type_check_only"),
}
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def effect_of(resolver: Resolver, module: PythonModule, decorator: ast.expr) -> Effect:
    """What a decorator does, from its definition."""
    is_factory = isinstance(decorator, ast.Call)
    callee = decorator.func if isinstance(decorator, ast.Call) else decorator
    if getattr(callee, "attr", getattr(callee, "id", "")) in _HARMLESS_NAMES:
        return Effect.NONE
    found = resolver.expression(module, callee)
    match found:
        case FunctionValue(module=home, nodes=[ast.FunctionDef() as node]):
            if f"{home.name}.{node.name}" in _HARMLESS:
                return Effect.NONE
            return _of_factory(node) if is_factory else _of_function(node)
        case ClassValue(module=home, node=node) if f"{home.name}.{node.name}" in _HARMLESS:
            return Effect.NONE
        case NativeValue(value=value) if value in (staticmethod, classmethod):
            return Effect.NONE
        case _:
            return Effect.UNKNOWN


def _of_factory(node: _Function) -> Effect:
    """`@make(...)`: the function that it returns decorates."""
    inner = _inner(node)
    returned = [inner.get(item.value.id) if isinstance(item.value, ast.Name) else None for item in _returns(node)]
    if not returned or any(item is None for item in returned):
        return Effect.UNKNOWN
    return max(_of_function(item) for item in returned if item is not None)


def _of_function(node: _Function) -> Effect:
    arguments = [*node.args.posonlyargs, *node.args.args]
    returns = list(_returns(node))
    if not arguments or not returns:
        return Effect.UNKNOWN
    decorated, inner = arguments[0].arg, _inner(node)
    if any(_is_assigned(item, decorated) for item in ast.walk(node)):
        return Effect.UNKNOWN
    updated = {name for item in node.body if (name := _updated(item, decorated)) is not None}
    effects = [_of_returned(item.value, decorated, inner, updated) for item in returns]
    return max(effects)


def _updated(statement: ast.stmt, decorated: str) -> str | None:
    """The wrapper of `functools.update_wrapper(wrapper, decorated)`."""
    match statement:
        case ast.Expr(value=ast.Call(func=func, args=[ast.Name(id=wrapper), ast.Name(id=name)])) if name == decorated:
            return wrapper if getattr(func, "attr", getattr(func, "id", "")) == "update_wrapper" else None
        case _:
            return None


def _of_returned(value: ast.expr | None, decorated: str, inner: dict[str, _Function], updated: set[str]) -> Effect:
    if not isinstance(value, ast.Name):
        return Effect.UNKNOWN
    if value.id == decorated:
        return Effect.NONE
    wrapper = inner.get(value.id)
    is_wrapping = wrapper is not None and any(_is_wraps(item, decorated) for item in wrapper.decorator_list)
    if wrapper is None or not (is_wrapping or value.id in updated):
        return Effect.UNKNOWN
    return Effect.NONE if _hands_on(wrapper) else Effect.OPEN


def _is_wraps(node: ast.expr, decorated: str) -> bool:
    match node:
        case ast.Call(func=ast.Name(id="wraps") | ast.Attribute(attr="wraps"), args=[ast.Name(id=name)]):
            return name == decorated
        case _:
            return False


def _hands_on(wrapper: _Function) -> bool:
    """Whether a wrapper is `(*args, **kwargs)` and only ever calls with all of them."""
    given = wrapper.args
    if given.posonlyargs or given.args or given.kwonlyargs or given.vararg is None or given.kwarg is None:
        return False
    kwargs = given.kwarg.arg
    handed = {
        id(keyword.value)
        for item in ast.walk(wrapper)
        if isinstance(item, ast.Call)
        for keyword in item.keywords
        if keyword.arg is None
    }
    uses = [item for item in ast.walk(wrapper) if isinstance(item, ast.Name) and item.id == kwargs]
    return all(id(item) in handed for item in uses)


def _returns(node: _Function) -> Iterator[ast.Return]:
    """The returns of a function itself, not of those inside it."""
    stack: list[ast.AST] = list(node.body)
    while stack:
        item = stack.pop()
        if isinstance(item, ast.Return):
            yield item
        if not isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            stack.extend(ast.iter_child_nodes(item))


def _inner(node: _Function) -> dict[str, _Function]:
    return {item.name: item for item in node.body if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)}


def _is_assigned(item: ast.AST, name: str) -> bool:
    return isinstance(item, ast.Name) and item.id == name and isinstance(item.ctx, ast.Store)
