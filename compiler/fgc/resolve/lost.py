"""Finds values that a template loses: a `set` in a loop whose name is read behind the loop (FGC219).

Read from the syntax tree. A name that is set in a loop's body ends with the iteration: behind the loop, the name has
the value that it had before.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Literal

from fgc.diagnostics import Diagnostic, Related, Severity
from fgc.resolve.mentions import walk
from fgc.syntax import ast
from fgc.text import Span

_Body = Sequence[ast.Statement]


def check_lost_sets(templates: Iterable[ast.Template], undefined: Iterable[str]) -> Iterator[Diagnostic]:
    """A finding for each name that is set in a loop and read behind it; `undefined` ones have a finding already."""
    known = set(undefined)
    for template in templates:
        for target, read in _lost_in(template):
            if target.name not in known:
                yield _finding(target, read)


@lru_cache(maxsize=4096)
def _lost_in(template: ast.Template) -> tuple[tuple[ast.Name, Span], ...]:
    """Returns the names that one template loses; templates are compared by identity."""
    return tuple(_in_body(template.body, ()))


def _finding(target: ast.Name, read: Span) -> Diagnostic:
    name = target.name
    message = f"`{name}` is set for one iteration: after the loop it has its earlier value"
    help = f"set an attribute: `set ns = namespace({name}=...)` before the loop, `set ns.{name} = ...` in it"
    related = (Related(read, f"`{name}` is read here"),)
    return Diagnostic("FGC219", message, target.span, Severity.WARNING, help, related)


def _in_body(body: _Body, behind: tuple[_Body, ...]) -> Iterator[tuple[ast.Name, Span]]:
    """Names set in loops of a body, with the first place that reads them later; `behind` runs after the body."""
    for number, statement in enumerate(body):
        inside = _bodies(statement)
        if all(ends for _, ends in inside):  # most statements: none has to know what comes later
            for inner, _ in inside:
                yield from _in_body(inner, ())
            continue
        rest = (body[number + 1 :], *behind)
        if isinstance(statement, ast.For):
            for target in _targets(statement.body):
                read = _first_read(target.name, rest)
                if read is not None:
                    yield target, read
        for inner, ends in inside:
            yield from _in_body(inner, () if ends else rest)


def _bodies(statement: ast.Statement) -> list[tuple[_Body, bool]]:
    """The bodies inside a statement, and whether names of outside end at it."""
    match statement:
        case ast.If():
            return [(body, False) for body in (*(body for _, body in statement.branches), statement.otherwise)]
        case ast.For():
            return [(statement.body, False), (statement.otherwise, False)]
        case ast.Block() | ast.Macro() | ast.CallBlock():
            return [(statement.body, True)]
        case ast.With() | ast.FilterBlock() | ast.SetBlock() | ast.Autoescape():
            return [(statement.body, False)]
        case _:
            return []


def _targets(body: _Body) -> dict[ast.Name, None]:
    """The names that a loop's body sets in the loop's own scope, each at its first place."""
    found: dict[str, ast.Name] = {}
    for statement in body:
        if isinstance(statement, (ast.Set, ast.SetBlock)):
            for name in walk([statement.target]):
                if isinstance(name, ast.Name):
                    found.setdefault(name.name, name)
        elif isinstance(statement, ast.If):
            for inner in (*(inner for _, inner in statement.branches), statement.otherwise):
                for name in _targets(inner):
                    found.setdefault(name.name, name)
    return dict.fromkeys(found.values())


def _first_read(name: str, bodies: Iterable[_Body]) -> Span | None:
    """Returns the first place that reads a name before a statement sets it anew."""
    for body in bodies:
        for statement in body:
            use = _use(name, statement)
            if isinstance(use, Span):
                return use
            if use == "set":
                return None
    return None


def _use(name: str, statement: ast.Statement) -> Span | Literal["set"] | None:
    """The first thing that a statement does with a name."""
    match statement:
        case ast.Set():
            read = _read(name, [statement.value])
            return read or ("set" if _sets(name, statement.target) else None)
        case ast.SetBlock():
            read = _first_read(name, [statement.body])
            return read or ("set" if _sets(name, statement.target) else None)
        case ast.If():
            return _branches(name, statement)
        case ast.For():
            read = _read(name, [statement.iterable])
            is_own = _sets(name, statement.target)
            return read or (None if is_own else _first_read(name, [statement.body, statement.otherwise]))
        case ast.With() | ast.Macro() | ast.CallBlock():
            read = _read(name, _evaluated_before(statement))
            return read or (None if _has_own(name, statement) else _first_read(name, [statement.body]))
        case ast.Block() | ast.FilterBlock() | ast.Autoescape():
            return _first_read(name, [statement.body])
        case _:
            return _read(name, [statement])


def _branches(name: str, statement: ast.If) -> Span | Literal["set"] | None:
    bodies = [body for _, body in statement.branches]
    read = _read(name, [condition for condition, _ in statement.branches])
    read = read or next((r for b in (*bodies, statement.otherwise) if (r := _first_read(name, [b]))), None)
    if read is not None:
        return read
    is_set = all(any(_use(name, inner) == "set" for inner in body) for body in (*bodies, statement.otherwise))
    return "set" if is_set else None


def _evaluated_before(statement: ast.With | ast.Macro | ast.CallBlock) -> list[object]:
    """The expressions of a statement that see the names around it."""
    match statement:
        case ast.With(bindings=bindings):
            return [value for _, value in bindings]
        case ast.CallBlock(call=call):
            return [call]
        case ast.Macro():
            return []


def _has_own(name: str, statement: ast.With | ast.Macro | ast.CallBlock) -> bool:
    if isinstance(statement, ast.With):
        return any(_sets(name, target) for target, _ in statement.bindings)
    return any(parameter.name == name for parameter in statement.parameters)


def _sets(name: str, target: ast.Target) -> bool:
    return any(isinstance(node, ast.Name) and node.name == name for node in walk([target]))


def _read(name: str, nodes: Iterable[object]) -> Span | None:
    return next((node.span for node in walk(nodes) if isinstance(node, ast.Name) and node.name == name), None)
