"""Python files to what they bind: each name's statements, in order, and the modules that they import whole.

Files are parsed, never imported. Knows nothing of what a name means.
"""

import ast
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from fgc.patterns import regex
from fgc.signatures.outline import Outline, parsed
from fgc.text import Source

_LONG_STUB = 150_000  # characters: a stub of 1.1 MB takes a second to parse, three lines of it no time
_DYNAMIC = regex(
    r"__getattr__|globals\(\)|locals\(\)|vars\(\)|sys\.modules|setattr\(|\bexec\(|_LazyModule|_import_structure"
    r"|\blazy\w*\.attach|\.__dict__"
)
_COMPARISONS: dict[type[ast.cmpop], Any] = {
    ast.GtE: lambda left, right: left >= right,
    ast.Lt: lambda left, right: left < right,
    ast.Gt: lambda left, right: left > right,
    ast.LtE: lambda left, right: left <= right,
    ast.Eq: lambda left, right: left == right,
    ast.NotEq: lambda left, right: left != right,
}


class Binding(Struct, frozen=True):
    """A statement that binds a name.

    `is_certain`: it runs whenever the module runs; `is_fallback`: only where something failed before;
    `is_for_typing`: only for tools that read. `attempt` is the innermost `try` around it that imports something.
    """

    node: ast.stmt | ast.alias
    statement: ast.stmt
    is_certain: bool = True
    is_fallback: bool = False
    is_for_typing: bool = False
    attempt: ast.Try | None = None

    def imports(self) -> Iterator[str]:
        """The modules without which the `try` around this goes to its handlers."""
        for node in () if self.attempt is None else self.attempt.body:
            match node:
                case ast.Import(names=names):
                    yield from (alias.name for alias in names)
                case ast.ImportFrom(module=str(name), level=0):
                    yield name
                case _:
                    pass


class ModuleScope:
    """The names that a sequence of statements binds: a module's or a class's body."""

    def __init__(self, body: Iterable[ast.stmt]) -> None:
        self.bindings: dict[str, list[Binding]] = {}
        self.stars: list[ast.ImportFrom] = []
        for binding in _bindings(body, Binding(ast.Pass(), ast.Pass())):
            if isinstance(binding.statement, ast.ImportFrom) and binding.statement.names[0].name == "*":
                self.stars.append(binding.statement)
                continue
            for name in _names(binding):
                self.bindings.setdefault(name, []).append(binding)

    def candidates(self, name: str, is_there: Callable[[str], bool] | None = None) -> list[Binding]:
        """The bindings that may hold when all has run, at best one; `is_there` knows modules."""
        found = self.bindings.get(name, [])
        found = [binding for binding in found if not binding.is_for_typing] or found
        if is_there is not None and any(binding.attempt is not None for binding in found):
            runs = [binding for binding in found if _runs(binding, is_there)]
            found = runs if any(binding.attempt is not None for binding in runs) else found
        decides = is_there is not None
        certain = [
            i for i, binding in enumerate(found) if binding.is_certain or (decides and binding.attempt is not None)
        ]
        found = found[certain[-1] :] if certain and not _is_overload(found[certain[-1]].node) else found
        return [binding for binding in found if not binding.is_fallback or binding.attempt is not None] or found


def _runs(binding: Binding, is_there: Callable[[str], bool]) -> bool:
    """Returns False for what stands on the side of a `try` that Python does not take here."""
    is_whole = all(is_there(name) for name in binding.imports())
    return binding.attempt is None or is_whole is not binding.is_fallback


class PythonModule:
    """A module that was read from a file: `name` is dotted, a package's file is its `__init__`.

    `home` finds it again: its name, or its path if no import finds it.
    """

    def __init__(self, name: str, path: str, source: Source, home: str | None = None) -> None:
        self.home = name if home is None else home
        self.name = name
        self.path = path
        self.source = source
        self._parts: dict[str, ModuleScope] = {}

    def __repr__(self) -> str:
        return f"PythonModule({self.name})"

    @property
    def is_package(self) -> bool:
        return self.path.rpartition("/")[2] in ("__init__.py", "__init__.pyi")

    @property
    def is_stub(self) -> bool:
        return self.path.endswith(".pyi")

    @property
    def package(self) -> str:
        """The package that relative imports start from."""
        return self.name if self.is_package else self.name.rpartition(".")[0]

    @cached_property
    def is_dynamic(self) -> bool:
        """Returns True if it may have names that its statements do not show."""
        return bool(_DYNAMIC.search(self.source.text))

    @cached_property
    def _outline(self) -> Outline:
        is_own = self.home == self.path  # a user's file, which may have mistakes anywhere: then nothing in it is known
        return Outline(self.source.text, is_whole=is_own)

    @cached_property
    def whole(self) -> ModuleScope:
        """All that the file binds; nothing, if Python cannot parse it. `scope` gives definitions their bodies."""
        return ModuleScope(self._outline.statements)

    def scope(self, name: str) -> ModuleScope:
        """Returns what binds `name`: the whole file, or the fitting statements of a long stub."""
        if not self.is_stub or len(self.source.text) < _LONG_STUB:
            filled = [self._outline.fill(binding.node) for binding in self.whole.bindings.get(name, ())]
            return self.whole if all(filled) else ModuleScope(())
        if name not in self._parts:
            self._parts[name] = ModuleScope(_section(self.source.text, name))
        return self._parts[name]


def _section(text: str, name: str) -> list[ast.stmt]:
    """The statements of a long stub that begin with the name, with their decorators; line numbers are kept."""
    word = re.escape(name)
    imported = rf"from .* import (?:.*|\([^)]*)\b{word}\b"
    pattern = rf"^(?:@.*\n)*(?:(?:async )?def {word}\b|class {word}\b|{word}\s*[:=]|{imported}).*\n"
    found: list[ast.stmt] = []
    for match in re.finditer(pattern, text, re.MULTILINE):
        end = re.compile(r"^[^\s)\]}#]", re.MULTILINE).search(text, match.end())
        for node in parsed(text[match.start() : end.start() if end else len(text)]) or ():
            ast.increment_lineno(node, text.count("\n", 0, match.start()))
            found.append(node)
    return found


def _bindings(body: Iterable[ast.stmt], how: Binding) -> Iterator[Binding]:
    for node in body:
        match node:
            case ast.If():
                yield from _of_branches(node, how)
            case ast.Try():
                yield from _of_attempt(node, how)
            case ast.With():
                yield from _bindings(node.body, how)
            case ast.For() | ast.While():
                yield _as(how, node)
                yield from _bindings([*node.body, *node.orelse], replace(_as(how, node), is_certain=False))
            case ast.Import() | ast.ImportFrom():
                for alias in node.names:
                    yield replace(how, node=alias, statement=node)
            case _:
                yield _as(how, node)


def _of_attempt(node: ast.Try, how: Binding) -> Iterator[Binding]:
    inside = replace(_as(how, node), is_certain=False)
    is_import = any(_is_import_error(handler.type) for handler in node.handlers)
    if is_import and any(isinstance(item, ast.Import | ast.ImportFrom) for item in node.body):
        inside = replace(inside, attempt=node)
    yield from _bindings([*node.body, *node.orelse, *node.finalbody], inside)
    for handler in node.handlers:
        yield from _bindings(handler.body, replace(inside, is_fallback=True))


def _is_import_error(node: ast.expr | None) -> bool:
    names = node.elts if isinstance(node, ast.Tuple) else [node]
    caught = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}
    return node is None or any(isinstance(name, ast.Name) and name.id in caught for name in names)


def _of_branches(node: ast.If, how: Binding) -> Iterator[Binding]:
    truth = _truth(node.test)
    if truth == "typing":
        yield from _bindings(node.body, replace(_as(how, node), is_for_typing=True))
        yield from _bindings(node.orelse, how)
    elif truth is not None:
        yield from _bindings(node.body if truth else node.orelse, how)
    else:
        yield from _bindings([*node.body, *node.orelse], replace(_as(how, node), is_certain=False))


def _as(how: Binding, node: ast.stmt) -> Binding:
    return replace(how, node=node, statement=node)


def _truth(test: ast.expr) -> bool | str | None:
    """Returns True if a condition holds for this Python; "typing" for TYPE_CHECKING; None if it is not known."""
    match test:
        case ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING"):
            return "typing"
        case ast.Constant(value=bool(value)):
            return value
        case ast.BoolOp(op=op, values=parts):
            return _joined(op, [_truth(part) for part in parts])
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            truth = _truth(operand)
            return None if truth is None or isinstance(truth, str) else not truth
        case ast.Call(func=func, args=[_]) if ast.unparse(func) == "os.environ.get":
            return False  # a variable that is set to build documentation
        case ast.Compare(left=ast.Attribute(value=ast.Name(id="sys"), attr=name), ops=[op], comparators=[other]):
            if type(op) not in _COMPARISONS or name not in ("version_info", "platform"):
                return None
            try:
                return bool(_COMPARISONS[type(op)](getattr(sys, name), ast.literal_eval(other)))
            except (ValueError, TypeError):
                return None
        case _:
            return None


def _joined(op: ast.boolop, parts: list[bool | str | None]) -> bool | None:
    """`and` and `or` of what is known: one part may decide."""
    deciding = isinstance(op, ast.Or)
    if any(part is deciding for part in parts):
        return deciding
    return not deciding if all(part is (not deciding) for part in parts) else None


def _names(binding: Binding) -> Iterator[str]:
    match binding.node:
        case ast.alias(name=name, asname=asname):
            yield asname or (name.partition(".")[0] if isinstance(binding.statement, ast.Import) else name)
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.Assign(targets=targets) | ast.Delete(targets=targets):
            yield from (name for target in targets for name in _targets(target))
        case ast.AnnAssign(target=target) | ast.AugAssign(target=target) | ast.For(target=target):
            yield from _targets(target)
        case _:
            pass  # expressions, docstrings: they bind nothing that a configuration names


def _targets(target: ast.expr) -> Iterator[str]:
    match target:
        case ast.Name(id=name):
            yield name
        case ast.Tuple(elts=items) | ast.List(elts=items):
            for item in items:
                yield from _targets(item)
        case _:
            pass


def _is_overload(node: ast.stmt | ast.alias) -> bool:
    return isinstance(node, ast.FunctionDef) and any(
        getattr(decorator, "id", getattr(decorator, "attr", "")) == "overload" for decorator in node.decorator_list
    )
