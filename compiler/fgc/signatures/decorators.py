"""Decorators to what they do to a signature: nothing, something that may add parameters, or who knows what."""

import ast
import functools
from collections.abc import Iterator
from enum import IntEnum

from msgspec import Struct
from msgspec.structs import replace

from fgc.signatures.modules import PythonModule
from fgc.signatures.resolver import Resolver
from fgc.signatures.signature import Parameter, ParameterKind, Signature
from fgc.signatures.values import (
    ClassValue,
    FunctionValue,
    InstanceValue,
    ModuleValue,
    NativeValue,
    PartialValue,
    UnknownValue,
)


class Effect(IntEnum):
    """Says what a decorator does to the signature of what it decorates; the larger, the less is known."""

    NONE = 0
    MORE_KEYWORDS = 1  # whatever is left over goes elsewhere
    OPEN = 2  # a wrapper that looks at its arguments: it may take more
    UNKNOWN = 3


class Decoration(Struct, frozen=True):
    """The effect of decorators; `names` are keywords that one of them may take itself: an old name of a parameter.

    `deals_positionals`: what is given by position is dealt to parameters by a rule of its own.
    """

    effect: Effect = Effect.NONE
    names: frozenset[str] = frozenset()
    deals_positionals: bool = False

    def applied(self, signature: Signature) -> Signature:
        """The signature of what is decorated."""
        found = self._applied(signature)
        return replace(found, deals_positionals=True) if self.deals_positionals else found

    def _applied(self, signature: Signature) -> Signature:
        if self.effect is Effect.OPEN:
            return replace(signature, is_open=True)
        if self.effect is Effect.MORE_KEYWORDS:
            return _with_more(signature, (Parameter("more", ParameterKind.VAR_KEYWORD),))
        own = {parameter.name for parameter in signature.parameters}
        extra = (Parameter(name, ParameterKind.KEYWORD_ONLY, "...") for name in sorted(self.names - own))
        return _with_more(signature, tuple(extra)) if self.names else signature


def _with_more(signature: Signature, more: tuple[Parameter, ...]) -> Signature:
    """A signature that takes further keywords, without showing them."""
    if any(parameter.kind is ParameterKind.VAR_KEYWORD for parameter in signature.parameters):
        behind = signature.behind_kwargs
        return replace(signature, behind_kwargs=None if behind is None else (*behind, *more))
    hidden = Parameter("more", ParameterKind.VAR_KEYWORD)
    return replace(signature, parameters=(*signature.parameters, hidden), behind_kwargs=more)


_HARMLESS = {
    *("contextlib.contextmanager", "contextlib.asynccontextmanager", "functools.lru_cache", "functools.cache"),
    *("functools.total_ordering", "functools.singledispatch", "functools.wraps", "abc.abstractmethod"),
    *("dataclasses.dataclass", "torch.no_grad", "torch.enable_grad", "torch.inference_mode"),
    *("torch.utils._contextlib.context_decorator", "torch.compiler.disable", "typing.dataclass_transform"),
    *("torch.autograd.grad_mode.no_grad", "torch.autograd.grad_mode.enable_grad"),
    *("torch.autograd.grad_mode.inference_mode", "transformers.utils.auto_docstring.auto_docstring"),
    *("transformers.utils.import_utils.requires", "networkx.utils.decorators.argmap"),
    "matplotlib.pyplot._copy_docstring_and_deprecators",
    "diffusers.configuration_utils.register_to_config",  # drops keywords that begin with an underscore
    *("jax._src.api.jit", "jax._src.custom_derivatives.custom_jvp", "jax._src.custom_derivatives.custom_vjp"),
    *(f"networkx.utils.decorators.{name}" for name in ("not_implemented_for", "nodes_or_number", "open_file")),
    *(f"networkx.utils.decorators.{name}" for name in ("np_random_state", "py_random_state")),
}
_HARMLESS_NAMES = {
    *("staticmethod", "classmethod", "overload", "final", "override", "deprecated", "runtime_checkable"),
    *("no_type_check", "abstractmethod", "dataclass_transform", "disjoint_base", "type_check_only"),
}
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def decoration(resolver: Resolver, module: PythonModule, decorator: ast.expr) -> Decoration:
    """Returns what a decorator does, from its definition."""
    is_factory = isinstance(decorator, ast.Call)
    callee = decorator.func if isinstance(decorator, ast.Call) else decorator
    if getattr(callee, "attr", getattr(callee, "id", "")) in _HARMLESS_NAMES:
        return Decoration()
    found = resolver.expression(module, callee)
    if isinstance(decorator, ast.Call) and isinstance(found, NativeValue) and found.value is functools.partial:
        return decoration(resolver, module, decorator.args[0]) if decorator.args else Decoration(Effect.UNKNOWN)
    found = found.target if isinstance(found, PartialValue) else found
    written = _written(resolver, module, callee)
    if not is_factory and isinstance(found, UnknownValue) and isinstance(written[1], ast.Call):
        return decoration(resolver, written[0], written[1])  # `decorator = make(...)`
    match found:
        case FunctionValue(module=home, nodes=[ast.FunctionDef() as node, *_]) if _full(home, node) in _HARMLESS:
            return Decoration()
        case FunctionValue(module=home, nodes=nodes):
            if all(keeps_by_type(resolver, home, node, is_factory) for node in nodes):
                return Decoration(Effect.NONE, _words(decorator), any(map(_deals_positionals, nodes)))
            last = nodes[-1]
            if not isinstance(last, ast.FunctionDef):
                return Decoration(Effect.UNKNOWN)
            return Decoration(_of_factory(last) if is_factory else _of_function(last))
        case ClassValue() if _full(found.module, found.node) in _HARMLESS:
            return Decoration()
        case ClassValue():
            return Decoration(_of_class(resolver, found, is_factory))
        case InstanceValue(cls=cls) if _is_plain_call(resolver, cls):
            return Decoration()
        case NativeValue(value=value) if value in (staticmethod, classmethod, functools.cache, functools.lru_cache):
            return Decoration()
        case _:
            return Decoration(Effect.UNKNOWN)


def _written(resolver: Resolver, module: PythonModule, callee: ast.expr) -> tuple[PythonModule, ast.expr | None]:
    """Returns what a decorator's name is assigned, and where: `docfiller` of `docstrings.docfiller`."""
    match callee:
        case ast.Name(id=name):
            return resolver.definition(module, name)
        case ast.Attribute(value=owner, attr=name):
            found = resolver.expression(module, owner)
            return resolver.definition(found.module, name) if isinstance(found, ModuleValue) else (module, None)
        case _:
            return module, None


def _deals_positionals(node: ast.AST) -> bool:
    """Returns True if a wrapper takes `*args` and hands on keywords only: optuna makes keywords of them."""
    for wrapper in ast.walk(node):
        if isinstance(wrapper, ast.FunctionDef) and wrapper.args.vararg is not None and wrapper.args.kwarg is not None:
            calls = [call for call in _calls_in(wrapper) if any(keyword.arg is None for keyword in call.keywords)]
            starred = [item for call in calls for item in call.args if isinstance(item, ast.Starred)]
            if calls and not starred:
                return True
    return False


def _calls_in(node: ast.AST) -> Iterator[ast.Call]:
    return (item for item in ast.walk(node) if isinstance(item, ast.Call))


def _full(home: PythonModule, node: ast.FunctionDef | ast.ClassDef) -> str:
    return f"{home.name}.{node.name}"


def _words(decorator: ast.expr) -> frozenset[str]:
    """The texts and keywords that a decorator is given: perhaps names of arguments that it renames."""
    if not isinstance(decorator, ast.Call):
        return frozenset()
    texts = {item.value for item in ast.walk(decorator) if isinstance(item, ast.Constant)}
    return frozenset(text for text in texts if isinstance(text, str) and text.isidentifier())


def _is_plain_call(resolver: Resolver, cls: ClassValue) -> bool:
    """Returns True for an object whose `__call__` gives back what it decorates."""
    method = resolver.attribute(InstanceValue(cls), "__call__")
    if not isinstance(method, FunctionValue) or not isinstance(method.nodes[-1], ast.FunctionDef):
        return False
    node = method.nodes[-1]
    if keeps_by_type(resolver, method.module, node, is_factory=False, is_method=True):
        return True
    given = [item.arg for item in (*node.args.posonlyargs, *node.args.args)][1:]
    returned = [item.value for item in _returns(node)]
    is_same = all(isinstance(value, ast.Name) and value.id in given[:1] for value in returned)
    is_changed = any(_is_rebuilt(item, given[0]) or _is_assigned(item, given[0]) for item in ast.walk(node) if given)
    return bool(returned) and is_same and not is_changed


def _of_class(resolver: Resolver, cls: ClassValue, is_factory: bool) -> Effect:
    """A class that decorates: its objects say that their signature is that of what they hold, and more."""
    if is_factory and _is_plain_call(resolver, cls):
        return Effect.NONE
    call = resolver.attribute(InstanceValue(cls), "__call__")
    shows = next((item for item in cls.node.body if getattr(item, "name", "") == "__signature__"), None)
    takes_all = not isinstance(call, FunctionValue) or (call.nodes[0].args.vararg and call.nodes[0].args.kwarg)
    if shows is None or not takes_all:
        return Effect.UNKNOWN
    return Effect.MORE_KEYWORDS if "signature(self." in ast.unparse(shows) else Effect.UNKNOWN


def keeps_by_type(
    resolver: Resolver, module: PythonModule, node: ast.AST, is_factory: bool, is_method: bool = False
) -> bool:
    """Returns True for `T -> T` and `Callable[P, A] -> Callable[P, B]`; a factory returns a callable of that kind."""
    if not isinstance(node, ast.FunctionDef) or node.returns is None:
        return False
    if is_factory:
        returns = _unquoted(node.returns)
        made = resolver.expression(module, returns)
        if isinstance(made, ClassValue) and _is_plain_call(resolver, made):
            return True  # a protocol
        match returns:
            case ast.Subscript(slice=ast.Tuple(elts=[ast.List(elts=[given]), returned])):
                return _is_kept(resolver, module, node, given, returned)
            case ast.Name(id=name) if isinstance(alias := resolver.written(module, name), ast.Subscript):
                match alias.slice:
                    case ast.Tuple(elts=[ast.List(elts=[given]), returned]):
                        return _is_kept(resolver, module, node, given, returned)
                    case _:
                        pass
            case _:
                pass
        return False
    arguments = [*node.args.posonlyargs, *node.args.args][1 if is_method else 0 :]
    annotation = arguments[0].annotation if arguments else None
    return annotation is not None and _is_kept(resolver, module, node, annotation, node.returns)


def _is_kept(
    resolver: Resolver, module: PythonModule, node: ast.FunctionDef, given: ast.expr, returned: ast.expr
) -> bool:
    match _without_none(_unquoted(given)), _without_none(_unquoted(returned)):
        case ast.Name(id=one), ast.Name(id=other):
            return one == other and _is_variable(resolver, module, node, one)
        case ast.Subscript(slice=ast.Name(id=one)), ast.Subscript(slice=ast.Name(id=other)):  # type[T]
            return one == other and _is_variable(resolver, module, node, one)
        case ast.Subscript(slice=ast.Tuple(elts=[one, _])), ast.Subscript(slice=ast.Tuple(elts=[other, *_])):
            names = [item.id for item in ast.walk(one) if isinstance(item, ast.Name)]  # of Concatenate[M, P] as well
            is_variable = any(_is_variable(resolver, module, node, name) for name in names)
            return is_variable and ast.dump(one) == ast.dump(other)
        case _:
            return False


def _unquoted(node: ast.expr) -> ast.expr:
    if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
        return node
    try:
        return ast.parse(node.value, mode="eval").body
    except SyntaxError:
        return node


def _without_none(node: ast.expr) -> ast.expr:
    """`type[T]` of `Optional[type[T]]`, and of `Union[type[T], Callable[...]]`: what a call with the class gives."""
    if not isinstance(node, ast.Subscript) or getattr(node.value, "attr", getattr(node.value, "id", "")) not in (
        "Optional",
        "Union",
    ):
        return node
    return node.slice.elts[0] if isinstance(node.slice, ast.Tuple) else node.slice


def _is_variable(resolver: Resolver, module: PythonModule, node: ast.FunctionDef, name: str) -> bool:
    """Returns True for a type variable, or one that stands for parameters."""
    if any(getattr(item, "name", "") == name for item in getattr(node, "type_params", ())):
        return True
    written = resolver.written(module, name)
    called = getattr(written, "func", None)
    return getattr(called, "attr", getattr(called, "id", "")) in ("TypeVar", "ParamSpec")


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
    if any(_is_assigned(item, decorated) or _is_rebuilt(item, decorated) for item in ast.walk(node)):
        return Effect.UNKNOWN
    updated = {name for item in node.body if (name := _updated(item, decorated)) is not None}
    made = {name for item in node.body if (name := _made_of(item, decorated)) is not None}
    effects = [_of_returned(item.value, decorated, inner, updated, made) for item in returns]
    return max(effects)


def _updated(statement: ast.stmt, decorated: str) -> str | None:
    """The wrapper of `update_wrapper(wrapper, decorated)` and `wraps(decorated)(wrapper)`."""
    match statement:
        case ast.Expr(value=ast.Call(func=ast.Call() as wraps, args=[ast.Name(id=wrapper)])):
            return wrapper if _is_wraps(wraps, decorated) else None
        case ast.Expr(value=ast.Call(func=func, args=[ast.Name(id=wrapper), ast.Name(id=name)])) if name == decorated:
            return wrapper if getattr(func, "attr", getattr(func, "id", "")) == "update_wrapper" else None
        case _:
            return None


def _made_of(statement: ast.stmt, decorated: str) -> str | None:
    """The name in `name = Wrapper(..., decorated)`."""
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(args=args)):
            return name if any(isinstance(item, ast.Name) and item.id == decorated for item in args) else None
        case _:
            return None


def _of_returned(
    value: ast.expr | None, decorated: str, inner: dict[str, _Function], updated: set[str], made: set[str]
) -> Effect:
    match value:
        case ast.Call(func=ast.Name(id="cast") | ast.Attribute(attr="cast"), args=[_, ast.Name() as item]):
            return _of_returned(item, decorated, inner, updated, made)
        case ast.Call(func=ast.Call() as wraps, args=[ast.Name(id=name)]) if _is_wraps(wraps, decorated):
            return _of_returned(ast.Name(name), decorated, inner, updated | {name}, made)
        case ast.Call(func=func, args=[ast.Name(id=name), ast.Name(id=other)]) if other == decorated:
            is_update = getattr(func, "attr", getattr(func, "id", "")) == "update_wrapper"
            return _of_returned(ast.Name(name), decorated, inner, {name}, made) if is_update else Effect.UNKNOWN
        case ast.Name(id=name) if name == decorated:
            return Effect.NONE
        case ast.Name(id=name) if name in updated & made:
            return Effect.NONE
        case ast.Name(id=name) if name in inner:
            is_wrapping = any(_is_wraps(item, decorated) for item in inner[name].decorator_list) or name in updated
            effect = Effect.NONE if _hands_on(inner[name]) else Effect.OPEN
            return effect if is_wrapping else Effect.UNKNOWN
        case _:
            return Effect.UNKNOWN


def _is_wraps(node: ast.expr, decorated: str) -> bool:
    match node:
        case ast.Call(func=ast.Name(id="wraps") | ast.Attribute(attr="wraps"), args=[ast.Name(id=name), *_]):
            return name == decorated
        case _:
            return False


def _hands_on(wrapper: _Function) -> bool:
    """Returns True if a wrapper is `(*args, **kwargs)`, perhaps behind `self`, and only calls with all of them."""
    given = wrapper.args
    is_more = len(given.args) > 1 or (given.args and given.args[0].arg not in ("self", "cls"))
    if given.posonlyargs or is_more or given.kwonlyargs or given.vararg is None or given.kwarg is None:
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


def _is_rebuilt(item: ast.AST, decorated: str) -> bool:
    """Returns True for what gives a class another constructor."""
    match item:
        case ast.Attribute(value=ast.Name(id=name), attr=attribute, ctx=ast.Store()) if name == decorated:
            return attribute in ("__init__", "__new__", "__signature__", "__call__")
        case ast.Call(func=ast.Name(id="setattr"), args=[ast.Name(id=name), key, *_]) if name == decorated:
            return not isinstance(key, ast.Constant) or key.value in ("__init__", "__new__", "__signature__")
        case _:
            return False


def _is_assigned(item: ast.AST, name: str) -> bool:
    return isinstance(item, ast.Name) and item.id == name and isinstance(item.ctx, ast.Store)
