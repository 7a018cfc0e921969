"""Variables that every program has without being given them: `pp_config`, the text of its resolved configuration."""

from msgspec.structs import replace

from fgc.ir import Deferred, Graph, Var
from fgc.text import DeferredName

RESOLVED_TEXT = "pp_config"
GIVEN_VARIABLES = frozenset({RESOLVED_TEXT})


def with_given_variables(graph: Graph) -> Graph:
    """Returns the graph of a program that is started: it reads the text from the file that lies beside it."""
    nodes = {
        node_id: Deferred("", (DeferredName(RESOLVED_TEXT),), node.origin)
        if isinstance(node, Var) and node.name == RESOLVED_TEXT
        else node
        for node_id, node in graph.nodes.items()
    }
    return replace(graph, nodes=nodes)
