"""The local Python files that a graph names, checked: whether they are there, and Python, and their imports lead on.

Files are read and parsed as the build copies them; nothing is imported.
"""

import ast
import posixpath
import warnings
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Protocol

from msgspec.structs import replace

from fgc.diagnostics import Diagnostic, Related, Severity, did_you_mean
from fgc.emit.siblings import RelativeImport, Sibling, Siblings
from fgc.ir import Call, Graph, Symbol, SymbolKind, reachable
from fgc.ir.searchpath import searchpath
from fgc.signatures import PythonModule
from fgc.text import Source, Span


class LocalFiles(Protocol):
    """Reads files of a project by absolute path or relative to it, and knows which folders are there."""

    def read_python(self, path: str) -> Source | None: ...

    def has_folder(self, path: str) -> bool: ...

    def python_files(self, folder: str) -> Sequence[str]: ...


def check_local_files(graph: Graph, files: LocalFiles) -> list[Diagnostic]:
    """Returns what a program could not import of the files that its calls name, and folders that are missing."""
    calls = [node for item in reachable(graph, graph.targets.values()) if isinstance(node := graph[item], Call)]
    found: dict[Diagnostic, None] = {}
    for call in calls:
        for folder, origin in searchpath(graph, call.searchpath):
            if not files.has_folder(folder):
                message = f"search path folder `{folder}` does not exist"
                found[Diagnostic.at(origin, "FGC004", message, severity=Severity.WARNING)] = None
        if call.callee.kind is SymbolKind.FILE and call.callee.attribute:  # else it is told that the name is missing
            folders = tuple(folder for folder, _ in searchpath(graph, call.searchpath))
            found |= dict.fromkeys(_in_file(call.callee, folders, files))
    return list(found)


def _in_file(symbol: Symbol, folders: tuple[str, ...], files: LocalFiles) -> Iterator[Diagnostic]:
    path = posixpath.normpath(symbol.container)
    source = files.read_python(path)
    if source is None:
        yield _missing_file(symbol, path, files)
        return
    siblings = Siblings(partial(_read_text, files), folders or (posixpath.dirname(path),))
    siblings.follow(path, source.text)
    related = (Related(symbol.origin.span, f"`{symbol.attribute}` is taken from `{path}` here"),)
    for sibling in siblings.found.values():
        text = files.read_python(sibling.read_from)
        assert text is not None, "a file that was found can be read again"
        problems = [_syntax_error(text), *(_dead_import(item, text, siblings) for item in sibling.imports)]
        yield from (replace(problem, related=related) for problem in problems if problem is not None)


def _missing_file(symbol: Symbol, path: str, files: LocalFiles) -> Diagnostic:
    folder, name = posixpath.split(path)
    help = did_you_mean(name, files.python_files(folder))
    return Diagnostic.at(symbol.origin, "FGC001", f"file `{path}` cannot be read", help=help)


def _read_text(files: LocalFiles, path: str) -> str | None:
    source = files.read_python(path)
    return None if source is None else source.text


def _syntax_error(source: Source) -> Diagnostic | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(source.text)
    except SyntaxError as error:
        line = min(max(error.lineno or 1, 1), len(source.line_starts))
        start = source.line_starts[line - 1] + min(max((error.offset or 1) - 1, 0), len(source.line(line)))
        span = Span(source, start, min(start + 1, len(source.text)))
        return Diagnostic("FGC520", f"this is not Python: {error.msg}", span)
    except (ValueError, RecursionError, MemoryError):
        return None  # Python itself has to say what it makes of this
    return None


def _dead_import(item: RelativeImport, source: Source, siblings: Siblings) -> Diagnostic | None:
    """Returns the finding of a relative import that fails; one in a `try` or for type checkers may fail."""
    if item.is_optional:
        return None
    shown = f"{'.' * item.node.level}{item.node.module or ''}"
    severity = Severity.ERROR if item.is_certain else Severity.WARNING
    if item.module is None:
        message = f"`{shown}` leads out of the folder whose files are copied"
        return Diagnostic("FGC521", message, _place(source, item.node), severity)
    module = siblings.module(item.module)
    names = [alias for alias in item.node.names if siblings.module(f"{item.module}.{alias.name}".strip(".")) is None]
    if module is None and item.node.module and len(names) == len(item.node.names):
        help = f"it is looked for in {_listed(siblings.searchpath)}: a folder more is named by `submodule_searchpath`"
        message = f"there is no file of the module `{shown}`"
        return Diagnostic("FGC521", message, _place(source, item.node), severity, help)
    wrong = next((alias for alias in names if alias.name != "*" and not _may_have(module, alias.name)), None)
    if wrong is None:
        return None
    known = [] if module is None else PythonModule("", "", Source("", module.text)).whole.bindings
    message = f"`{shown}` has no `{wrong.name}`"
    return Diagnostic(
        "FGC521", message, _place(source, wrong), severity, did_you_mean(wrong.name, {*known} - {wrong.name})
    )


def _may_have(module: Sibling | None, name: str) -> bool:
    """Returns True unless a module certainly binds no such name."""
    if module is None:
        return False
    source = Source("", module.text)
    read = PythonModule("", "", source)
    binding = [item.statement for item in read.whole.bindings.get(name, ())]
    is_bound = any(not (isinstance(node, ast.ImportFrom) and node.level and not node.module) for node in binding)
    return is_bound or read.is_dynamic or bool(read.whole.stars) or _syntax_error(source) is not None


def _listed(folders: Sequence[str]) -> str:
    return " and ".join(f"`{folder or '.'}`" for folder in folders)


def _place(source: Source, node: ast.ImportFrom | ast.alias) -> Span:
    """Returns the span of a node; Python counts its columns in bytes."""
    line = source.line(node.lineno)
    start = source.line_starts[node.lineno - 1] + len(line.encode()[: node.col_offset].decode(errors="ignore"))
    length = len(ast.get_source_segment(source.text, node) or " ")
    return Span(source, start, start + length)
