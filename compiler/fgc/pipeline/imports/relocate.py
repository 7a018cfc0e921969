"""A graph as seen from another project: relative files, search paths and folders named from there."""

import posixpath
from typing import assert_never

from msgspec.structs import replace

from fgc.ir import Call, Deferred, Graph, ListNode, Literal, Node, NodeId, Symbol, SymbolKind
from fgc.text import (
    DeferredArgument,
    DeferredCall,
    DeferredConstant,
    DeferredExpression,
    DeferredFolder,
    DeferredName,
    DeferredOperation,
    DeferredOption,
)


def relocated(graph: Graph, folder: str, workspace: str | None) -> Graph:
    """The graph for a program that starts in another folder.

    `folder` and `workspace` are those of the graph's project, relative to where the program starts; `workspace` is None
    if it is the program's own.
    """
    folders = {"project_dir": _below_start(folder)}
    if workspace is not None:
        folders["workspace_root"] = _below_start(workspace)
    on_searchpath = {item for node in graph.nodes.values() for item in _searchpath(graph, node)}
    nodes: dict[NodeId, Node] = {}
    for node_id, node in graph.nodes.items():
        match node:
            case Deferred():
                nodes[node_id] = replace(node, parts=tuple(_moved(part, folders, folder) for part in node.parts))
            case Literal(value=str(path)) if node_id in on_searchpath:
                nodes[node_id] = Literal(_joined(folder, path), node.origin)
            case Literal():
                nodes[node_id] = replace(node, argument=None)  # the asking configuration gave it: it stays so
            case Call() if node.callee.kind is SymbolKind.FILE:
                nodes[node_id] = replace(node, callee=_moved_symbol(node.callee, folder))
            case _:
                nodes[node_id] = node
    return replace(graph, nodes=nodes)


def _below_start(folder: str) -> DeferredExpression:
    return DeferredName("project_dir") if folder == "." else DeferredFolder(folder)


def _searchpath(graph: Graph, node: Node) -> tuple[NodeId, ...]:
    if not isinstance(node, Call) or node.searchpath is None:
        return ()
    folders = graph[node.searchpath]
    return folders.items if isinstance(folders, ListNode) else (node.searchpath,)


def _joined(folder: str, path: str) -> str:
    return posixpath.normpath(posixpath.join(folder, path))  # an absolute path stays as it is


def _moved_symbol(symbol: Symbol, folder: str) -> Symbol:
    container = _joined(folder, symbol.container)
    return replace(symbol, container=container, text=f"{container}:{symbol.attribute}")


def _moved(
    part: DeferredExpression | str, folders: dict[str, DeferredExpression], folder: str
) -> DeferredExpression | str:
    match part:
        case DeferredName(name):
            return folders.get(name, part)
        case DeferredArgument(value=value) | DeferredOperation(value=value):
            return str(value)
        case DeferredOption(default=default):
            return _moved(default, folders, folder)
        case DeferredFolder(path):
            return _below_start(_joined(folder, path))  # of a third project, from which the other one takes objects
        case DeferredCall(function, arguments):
            moved = [
                item if isinstance(item, DeferredConstant) else _moved(item, folders, folder) for item in arguments
            ]
            return DeferredCall(function, tuple(moved))
        case str():
            return part
        case _:
            assert_never(part)
