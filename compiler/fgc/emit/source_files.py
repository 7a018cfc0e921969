"""Copies local Python files that symbols name to modules beside the program, so that a build never changes.

A file that imports siblings (`from .helper import f`) becomes a package with them. Two files of one base name become
two modules.
"""

import posixpath
from collections.abc import Callable, Sequence

from msgspec import Struct, field

from fgc.diagnostics import Diagnostic
from fgc.emit.imports import SOURCES
from fgc.emit.names import Names, identifier
from fgc.emit.siblings import Siblings
from fgc.ir import Call, Graph, NodeId, Symbol, SymbolKind
from fgc.ir.searchpath import searchpath

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
                found = (posixpath.normpath(folder) for folder, _ in searchpath(graph, node.searchpath))
                folders.setdefault(path, {}).update(dict.fromkeys(found))
        for path, symbol in symbols.items():
            where = tuple(folders[path]) or (posixpath.dirname(path),)
            self.local[path] = LocalFile(path, f"{SOURCES}.{self._module_name(path)}", where)
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
        siblings = Siblings(self.read, file.searchpath)
        siblings.follow(file.path, text)
        self.files[f"{SOURCES}/__init__.py"] = _INIT
        if len(siblings.found) == 1:
            self.files[f"{base}.py"] = text
            return
        self.files |= {f"{base}/{path or '__init__.py'}": found.text for path, found in siblings.found.items()}
