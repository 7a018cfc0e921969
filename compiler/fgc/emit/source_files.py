"""Local Python files that symbols name to modules beside the program: a build is frozen.

A file whose siblings it imports (`from .helper import f`) becomes a package of them; two files of one base name
become two modules.
"""

import ast
import posixpath
from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct, field

from fgc.diagnostics import Diagnostic
from fgc.emit.imports import SOURCES
from fgc.emit.names import Names, identifier
from fgc.ir import Call, Deferred, Graph, ListNode, Literal, NodeId, Symbol, SymbolKind

_INIT = '"""Local Python files that the configuration names, copied when it was built."""\n'


class LocalFile(Struct, frozen=True):
    """A file that the configuration names: its path there, the module it becomes, where its siblings are."""

    path: str
    module: str
    searchpath: tuple[str, ...]


class SourceFiles(Struct):
    """The local files of one program and the copies that it imports."""

    read: Callable[[str], str | None] | None
    local: dict[str, LocalFile] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    _names: Names = field(default_factory=Names)

    def add_all(self, graph: Graph, order: Sequence[NodeId]) -> None:
        """Register the files of all calls, then copy them."""
        symbols: dict[str, Symbol] = {}
        folders: dict[str, dict[str, None]] = {}
        for node_id in order:
            node = graph[node_id]
            if isinstance(node, Call) and node.callee.kind is SymbolKind.FILE:
                path = posixpath.normpath(node.callee.container)
                symbols.setdefault(path, node.callee)
                folders.setdefault(path, {}).update(dict.fromkeys(_texts(graph, node.searchpath)))
        for path, symbol in symbols.items():
            searchpath = tuple(folders[path]) or (posixpath.dirname(path),)
            self.local[path] = LocalFile(path, f"{SOURCES}.{self._module_name(path)}", searchpath)
            self._copy(self.local[path], symbol)

    def module(self, symbol: Symbol) -> str:
        """The module from which the program imports a file's attribute."""
        return self.local[posixpath.normpath(symbol.container)].module

    def _module_name(self, path: str) -> str:
        folder, name = posixpath.split(path)
        stem = identifier(posixpath.splitext(name)[0])
        if self._names.is_free(stem):
            return self._names.reserve(stem)
        return self._names.fresh(f"{identifier(posixpath.basename(folder))}_{stem}" if folder else stem)

    def _copy(self, file: LocalFile, symbol: Symbol) -> None:
        if self.read is None:
            return
        text = self.read(file.path)
        if text is None:
            message = f"file `{file.path}` cannot be read"
            self.diagnostics.append(Diagnostic.at(symbol.origin, "FGC001", message))
            return
        base = file.module.replace(".", "/")
        siblings = _Siblings(self.read, file.searchpath)
        siblings.follow(text)
        self.files[f"{SOURCES}/__init__.py"] = _INIT
        if not siblings.found:
            self.files[f"{base}.py"] = text
            return
        self.files[f"{base}/__init__.py"] = text
        self.files |= {f"{base}/{path}": found for path, found in siblings.found.items()}


class _Siblings(Struct):
    """The files that a file imports relatively, and those that they import."""

    read: Callable[[str], str | None]
    searchpath: tuple[str, ...]
    found: dict[str, str] = field(default_factory=dict)

    def follow(self, text: str) -> None:
        pending = list(_relative_imports(text, ""))
        while pending:
            module = pending.pop(0)
            for path, content in self._files_of(module):
                if path not in self.found:
                    self.found[path] = content
                    package = module if path.endswith("/__init__.py") else module.rpartition(".")[0]
                    pending += _relative_imports(content, package)

    def _files_of(self, module: str) -> Iterator[tuple[str, str]]:
        """The module's file, and those of the packages around it."""
        parts = module.split(".")
        for length in range(1, len(parts) + 1):
            stem = "/".join(parts[:length])
            for path in (f"{stem}/__init__.py", f"{stem}.py"):
                content = next(
                    filter(lambda text: text is not None, map(self._read_below(path), self.searchpath)), None
                )
                if content is not None:
                    yield path, content
                    break

    def _read_below(self, path: str) -> Callable[[str], str | None]:
        return lambda folder: self.read(posixpath.join(folder, path))


def _relative_imports(text: str, package: str) -> Iterator[str]:
    """The modules, relative to the copied package, that a file in one of its packages imports."""
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom) or node.level == 0:
            continue
        around = package.split(".") if package else []
        kept = around[: len(around) - (node.level - 1)] if node.level > 1 else around
        base = [*kept, *([node.module] if node.module else [])]
        if node.module:
            yield ".".join(base)
        for alias in node.names:
            yield ".".join([*base, alias.name])


def _texts(graph: Graph, node: NodeId | None) -> Iterator[str]:
    """The folders of a search path, as they are now."""
    if node is None:
        return
    value = graph[node]
    items = value.items if isinstance(value, ListNode) else (node,)
    for item in items:
        match graph[item]:
            case Literal(value=str() as text) | Deferred(text=text):
                yield posixpath.normpath(text)
            case _:
                pass
