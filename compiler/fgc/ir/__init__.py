"""The graph of what a configuration constructs: typed nodes that know where they were written.

Knows nothing of YAML or of templates; sharing is by node id.
"""

from fgc.ir.builtins import BUILTINS, DISPLAY_TAGS, DISPLAYS, OWN_BUILTINS, VIEWS, display_type
from fgc.ir.export import graph_to_json
from fgc.ir.graph import Graph, GraphBuilder, children, reachable
from fgc.ir.nodes import (
    Call,
    CallKind,
    Deferred,
    DictNode,
    Entry,
    Keyword,
    ListNode,
    Literal,
    Node,
    NodeId,
    Scalar,
    Symbol,
    SymbolKind,
    Var,
    expressions_of,
)
from fgc.ir.options import Option
from fgc.ir.show import graph_to_text, target_kind
from fgc.ir.snapshot import FilePlace, Part, Row, Snapshot, snapshot, snapshot_from_json, snapshot_to_json
from fgc.ir.steps import steps
from fgc.ir.verify import verify

__all__ = [
    "BUILTINS",
    "DISPLAYS",
    "DISPLAY_TAGS",
    "OWN_BUILTINS",
    "VIEWS",
    "Call",
    "CallKind",
    "Deferred",
    "DictNode",
    "Entry",
    "FilePlace",
    "Graph",
    "GraphBuilder",
    "Keyword",
    "ListNode",
    "Literal",
    "Node",
    "NodeId",
    "Option",
    "Part",
    "Row",
    "Scalar",
    "Snapshot",
    "Symbol",
    "SymbolKind",
    "Var",
    "children",
    "display_type",
    "expressions_of",
    "graph_to_json",
    "graph_to_text",
    "reachable",
    "snapshot",
    "snapshot_from_json",
    "snapshot_to_json",
    "steps",
    "target_kind",
    "verify",
]
