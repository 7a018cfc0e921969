"""Finds the files that a local Python file imports relatively, directly or not, without importing anything.

They are searched in the folders of a search path.
"""

import ast
import posixpath
import warnings
from collections.abc import Callable, Iterable, Iterator

from msgspec import Struct, field


class RelativeImport(Struct, frozen=True):
    """A relative import: the module that it names, relative to the copied package; None if it leaves that package.

    `is_certain`: it runs whenever its file is imported; one that may fail, or that only tools read, is `is_optional`.
    """

    node: ast.ImportFrom
    module: str | None
    is_certain: bool = True
    is_optional: bool = False


class Sibling(Struct, frozen=True):
    """A copied file: its path in the package ("" for the first one), where it was read, its text and its imports."""

    path: str
    read_from: str
    text: str
    imports: tuple[RelativeImport, ...]


class Siblings(Struct):
    """The first file, and what is reached from it."""

    read: Callable[[str], str | None]
    searchpath: tuple[str, ...]
    found: dict[str, Sibling] = field(default_factory=dict)

    def follow(self, path: str, text: str) -> None:
        """Finds all files that the first file needs."""
        self.found[""] = first = Sibling("", path, text, tuple(relative_imports(text, "")))
        pending = list(_modules(first.imports))
        while pending:
            module = pending.pop(0)
            for sibling in self._files_of(module):
                if sibling.path not in self.found:
                    self.found[sibling.path] = sibling
                    pending += _modules(sibling.imports)

    def module(self, name: str) -> Sibling | None:
        """Returns the file of a module of the package, if it was found."""
        if not name:
            return self.found[""]
        stem = name.replace(".", "/")
        return self.found.get(f"{stem}/__init__.py") or self.found.get(f"{stem}.py")

    def _files_of(self, module: str) -> Iterator[Sibling]:
        """Yields the module's file, and those of its packages."""
        parts = module.split(".")
        for length in range(1, len(parts) + 1):
            stem = "/".join(parts[:length])
            for path in (f"{stem}/__init__.py", f"{stem}.py"):
                name = ".".join(parts[:length])
                package = name if path.endswith("/__init__.py") else name.rpartition(".")[0]
                sibling = self.found.get(path) or self._read(path, package)
                if sibling is not None:
                    yield sibling
                    break

    def _read(self, path: str, package: str) -> Sibling | None:
        for folder in self.searchpath:
            place = posixpath.join(folder, path)
            text = self.read(place)
            if text is not None:
                return Sibling(path, place, text, tuple(relative_imports(text, package)))
        return None


def _modules(imports: Iterable[RelativeImport]) -> Iterator[str]:
    """Yields the modules that imports may need; each imported name may be a module."""
    for found in imports:
        if found.module is None:
            continue
        if found.module:
            yield found.module
        for alias in found.node.names:
            if alias.name != "*":
                yield ".".join(filter(None, (found.module, alias.name)))


def relative_imports(text: str, package: str) -> Iterator[RelativeImport]:
    """Yields the relative imports of a file; none if it is not valid Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # SyntaxWarning about an escape in a user's string
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    yield from _in_body([tree], package, True, False)


def _in_body(nodes: Iterable[ast.AST], package: str, is_certain: bool, is_optional: bool) -> Iterator[RelativeImport]:
    for node in nodes:
        match node:
            case ast.ImportFrom(level=level) if level > 0:
                yield RelativeImport(node, _module(node, package), is_certain, is_optional)
            case ast.Try(handlers=[_, *_]):
                yield from _in_body([*node.body, *node.handlers], package, is_certain, True)
                yield from _in_body([*node.orelse, *node.finalbody], package, is_certain, is_optional)
            case ast.With(items=items) if any(map(_suppresses, items)):
                yield from _in_body(node.body, package, False, True)
            case ast.If(test=ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING")):
                yield from _in_body(node.body, package, False, True)
                yield from _in_body(node.orelse, package, is_certain, is_optional)
            case ast.If() | ast.FunctionDef() | ast.AsyncFunctionDef() | ast.For() | ast.While() | ast.match_case():
                yield from _in_body(ast.iter_child_nodes(node), package, False, is_optional)
            case ast.expr():
                pass
            case _:
                yield from _in_body(ast.iter_child_nodes(node), package, is_certain, is_optional)


def _suppresses(item: ast.withitem) -> bool:
    """Returns True for `contextlib.suppress(...)`, in which an import may fail."""
    match item.context_expr:
        case ast.Call(func=ast.Name(id="suppress") | ast.Attribute(attr="suppress")):
            return True
        case _:
            return False


def _module(node: ast.ImportFrom, package: str) -> str | None:
    """Returns the module that an import names, relative to the copied package."""
    around = package.split(".") if package else []
    if node.level - 1 > len(around):
        return None
    kept = around[: len(around) - (node.level - 1)]
    return ".".join([*kept, *([node.module] if node.module else [])])
