"""Finds the call to which a function hands its `*args` and `**kwargs` on, and what it takes out before.

Only what surely happens counts: the call runs whenever the function does, and nothing else is done with the names.
Knows nothing of what the call stands for.
"""

import ast
from collections.abc import Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from fgc.signatures.signature import Parameter, ParameterKind, Signature

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_NESTED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
_MAYBE = (ast.IfExp, ast.BoolOp, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, *_NESTED)
_BRANCHING = (ast.If, ast.For, ast.While, ast.Try, ast.Match, ast.AsyncFor, *_NESTED)
_COLLECTING = (ParameterKind.VAR_POSITIONAL, ParameterKind.VAR_KEYWORD)
_READING = ("items", "keys", "values", "copy")


class HandedOn(Struct):
    """`calls` are those of which one surely gets `**kwargs` or `*args`.

    `taken` are keywords that the function takes out itself, with whether they must be given; `named` are others that
    it looks at; `given` are those that it gives itself.
    """

    calls: list[ast.Call] = []
    taken: dict[str, bool] = {}
    named: set[str] = set()
    given: set[str] = set()


def handed_on(node: FunctionNode) -> HandedOn | None:
    """Returns how a function hands its collected arguments on; None where it does not, or it is not certain."""
    vararg, kwarg = node.args.vararg, node.args.kwarg
    body = [ast.Return(node.body)] if isinstance(node, ast.Lambda) else node.body
    if (vararg is None and kwarg is None) or any(isinstance(item, ast.Yield) for item in _walk(body)):
        return None
    names = (None if vararg is None else vararg.arg, None if kwarg is None else kwarg.arg)
    if any(isinstance(item, ast.Name) and item.id in names and not _is_read(item) for item in _walk(body)):
        return None
    found = HandedOn() if kwarg is None else _uses(body, kwarg.arg)
    if found is None:
        return None
    found.calls = _certain(body, names) or []
    return found if found.calls else None


def merged(own: Signature, call: ast.Call, target: Signature, use: HandedOn, names: tuple[str, str]) -> Signature:
    """A signature with what a call that gets its `*args` and `**kwargs` takes; `names` are the names of these."""
    gets_args = any(isinstance(item, ast.Starred) and _is_name(item.value, names[0]) for item in call.args)
    gets_kwargs = any(item.arg is None and _is_name(item.value, names[1]) for item in call.keywords)
    before = [item for item in call.args if not isinstance(item, ast.Starred)]
    is_plain = sum(isinstance(item, ast.Starred) for item in call.args) == gets_args and target.is_open is False
    is_plain = is_plain and sum(item.arg is None for item in call.keywords) == gets_kwargs
    if not is_plain or (before and gets_args and isinstance(call.args[0], ast.Starred)):
        return own
    consumed = {slot.name for slot in target.positional[: len(before)]} | {
        item.arg for item in call.keywords if item.arg
    }
    given = {parameter.name for parameter in own.parameters}
    behind_args = tuple(_left(_positional(target)[len(before) :], use)) if gets_args else own.behind_args
    rest = [p for p in target.by_name if p.kind in _COLLECTING or p.name not in consumed | given]
    behind = tuple(_taken(use, rest, given | consumed)) if gets_kwargs else own.behind_kwargs
    return replace(own, behind_args=behind_args, behind_kwargs=behind, drops_unknown=target.drops_unknown)


def _positional(target: Signature) -> tuple[Parameter, ...]:
    return (*target.positional, *(item for item in target.by_position if item.kind is ParameterKind.VAR_POSITIONAL))


def _left(parameters: Sequence[Parameter], use: HandedOn) -> Iterator[Parameter]:
    """Parameters with a default where the function gives one."""
    for parameter in parameters:
        is_given = parameter.name in use.given and parameter.default is None
        yield replace(parameter, default="...") if is_given else parameter


def _taken(use: HandedOn, rest: Sequence[Parameter], besides: set[str]) -> Iterator[Parameter]:
    names = {parameter.name for parameter in rest}
    mentioned = {**dict.fromkeys(sorted(use.named), False), **use.taken}
    for name, is_required in mentioned.items():
        if name not in names and name not in besides:
            yield Parameter(name, ParameterKind.KEYWORD_ONLY, None if is_required else "...")
    unnamed = (ParameterKind.POSITIONAL_ONLY, ParameterKind.VAR_POSITIONAL)
    yield from (item for item in _left(rest, use) if item.kind not in unnamed)


def _uses(body: Sequence[ast.stmt], kwarg: str) -> HandedOn | None:
    """Every use of the name, if all are known."""
    found, known = HandedOn(), set()
    for item in _walk(body):
        known.add(_known_use(item, kwarg, found))
    sure = {id(call) for statement in body if not isinstance(statement, _BRANCHING) for call in _surely_run(statement)}
    for item in _walk(body):
        if isinstance(item, ast.Call) and id(item) not in sure and _popped(item, kwarg) in found.taken:
            found.taken[_popped(item, kwarg)] = False
    uses = {id(item) for item in _walk(body) if _is_name(item, kwarg)}
    return found if uses <= known else None


def _popped(call: ast.Call, kwarg: str) -> str:
    """The keyword that `kwargs.pop("...")` takes out."""
    match call:
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="pop"), args=[ast.Constant(value=str(key)), *_]):
            return key if name == kwarg else ""
        case _:
            return ""


def _known_use(item: ast.AST, kwarg: str, found: HandedOn) -> int | None:
    """The name that a node uses in a way that is known, noted in `found`."""
    match item:
        case ast.keyword(arg=None, value=ast.Name(id=name) as use) if name == kwarg:
            return id(use)
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name) as use, attr=method)) if name == kwarg:
            return id(use) if _is_method_known(item, method, found) else None
        case ast.Subscript(value=ast.Name(id=name) as use, slice=ast.Constant(value=str(key))) if name == kwarg:
            if isinstance(item.ctx, ast.Del):
                found.taken[key] = False
            (found.given if isinstance(item.ctx, ast.Store) else found.named).add(key)
            return id(use)
        case ast.Compare(left=left, ops=[ast.In() | ast.NotIn()], comparators=[ast.Name(id=name) as use]):
            if name != kwarg:
                return None
            found.named |= {left.value} if isinstance(left, ast.Constant) and isinstance(left.value, str) else set()
            return id(use) if isinstance(left, ast.Constant) else None
        case ast.If(test=ast.Name(id=name) as use) if name == kwarg:
            return id(use)
        case _:
            return None


def _is_method_known(call: ast.Call, method: str, found: HandedOn) -> bool:
    match method, call.args:
        case "pop", [ast.Constant(value=str(key)), *rest]:
            found.taken[key] = not rest and found.taken.get(key, True)
        case "get", [ast.Constant(value=str(key)), *_]:
            found.named.add(key)
        case "setdefault", [ast.Constant(value=str(key)), *_]:
            found.given.add(key)
        case "update", []:
            found.given |= {item.arg for item in call.keywords if item.arg is not None}
            return all(item.arg is not None for item in call.keywords)
        case "update", [ast.Dict(keys=keys)]:
            names = [key.value for key in keys if isinstance(key, ast.Constant) and isinstance(key.value, str)]
            found.given |= set(names)
            return len(names) == len(keys)
        case _:
            return method in _READING
    return True


def _certain(body: Sequence[ast.stmt], names: tuple[str | None, str | None]) -> list[ast.Call] | None:
    """Calls that get the arguments, one of which runs whenever the statements do."""
    for statement in body:
        match statement:
            case ast.If(body=yes, orelse=no):
                one, other = _certain(yes, names), _certain(no, names)
                if one and other:
                    return [*one, *other]
            case ast.With(body=inside) | ast.AsyncWith(body=inside):
                found = _certain(inside, names)
                if found:
                    return found
            case ast.Try() | ast.For() | ast.While() | ast.Match() | ast.AsyncFor():
                pass
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                continue
            case _:
                found = [item for item in _surely_run(statement) if _gets(item, names)]
                if found:
                    return found[:1]
        if any(isinstance(item, ast.Return) for item in _walk([statement])):
            return None
    return None


def _gets(call: ast.Call, names: tuple[str | None, str | None]) -> bool:
    starred = any(isinstance(item, ast.Starred) and _is_name(item.value, names[0]) for item in call.args)
    return starred or any(item.arg is None and _is_name(item.value, names[1]) for item in call.keywords)


def _surely_run(node: ast.AST) -> Iterator[ast.Call]:
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, _MAYBE):
            yield from _surely_run(child)
    if isinstance(node, ast.Call):
        yield node


def _walk(body: Sequence[ast.stmt]) -> Iterator[ast.AST]:
    for statement in body:
        yield from ast.walk(statement)


def _is_name(node: ast.AST, name: str | None) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _is_read(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Load)
