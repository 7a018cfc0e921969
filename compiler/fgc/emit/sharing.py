"""Decides how often and when each node of a graph is evaluated, and with that which nodes become variables.

    .sizes: &sizes [1, 2]                           def main(steps):
    main:                                               sizes = [1, 2]
      a: !singleton:m:f [*sizes]                        {
      b: *sizes                             ->              "a": f(sizes),
      c: !factory:m:g [!var steps]                          "b": sizes,
      d: !partial:m:h [!factory:m:g []]                     "c": g(steps),
                                                            "d": lambda *args: h(g(), *args),
                                                        }

- A *once* node (`is_once`) has one value per run of the program: a singleton, a variable, and a list, mapping or
  run-time text with more than one mention. `sizes` is such a node, because an alias means the same object.
- All other nodes are part of the expression around them and are evaluated with it: the factory `c`.
- A once node needs a name of its own only if its value is used more than once (`is_repeated`). `_weigh` counts uses
  from the roots down: a node passes its weight to its children, a once node passes 1, and 2 stands for "many".
  `a` has weight 1 and is written in place; `sizes` has weight 2 and gets a line.
- An argument of a partial is evaluated when the partial is made, unless it contains a factory (`is_per_call`): then
  every call of the partial makes a new object, and the partial is *late* (`is_late`) and becomes a function.

`_contains_factory` runs on the topological order backwards, so children come before the nodes that mention them.
"""

from collections.abc import Collection, Iterator, Sequence
from itertools import chain

from fgc.ir import Call, CallKind, Deferred, DictNode, Graph, ListNode, Literal, NodeId, Var, reachable
from fgc.text import DeferredOption

_UNNAMED = (None, True, False, "")  # a name would not make these clearer


class Sharing:
    """Facts about the nodes that a choice of targets needs."""

    def __init__(self, graph: Graph, targets: Sequence[str]) -> None:
        self.graph = graph
        self.roots = tuple(graph.targets[name] for name in targets)
        self.order = _topological(graph, self.roots)
        self._mentions = _mentions(graph, graph.targets.values())  # of all targets, not of those chosen
        self._mentions_here = _mentions(graph, self.roots)
        self._per_call: dict[NodeId, bool] = {}
        for node in reversed(self.order):
            self._per_call[node] = self._contains_factory(node)
        self._weights = self._weigh()

    @property
    def document_order(self) -> Iterator[NodeId]:
        """The nodes in written order."""
        return reachable(self.graph, self.roots)

    def is_once(self, node: NodeId) -> bool:
        """Returns True if all mentions give the same object."""
        value = self.graph[node]
        match value:
            case Call():
                return value.kind is CallKind.SINGLETON
            case Var():
                return True
            case ListNode() | DictNode():
                return self._mentions[node] > 1
            case Literal(argument=argument) if argument is not None:
                return False  # `arguments.steps` is as short as a name for it
            case Literal():
                return self._mentions[node] > 1 and node in self.graph.hints and value.value not in _UNNAMED
            case Deferred(parts=(DeferredOption(),)):
                return False
            case Deferred():
                return self._mentions[node] > 1

    def is_repeated(self, node: NodeId) -> bool:
        """Returns True if the program uses its value in more than one place, or more than once."""
        return self._weights[node] > 1

    def is_mentioned_again(self, node: NodeId) -> bool:
        """Returns True if the chosen targets mention it more than once."""
        return self._mentions_here[node] > 1

    def is_per_call(self, node: NodeId) -> bool:
        """Returns True if it contains a factory: as an argument of a partial, it is evaluated at every call."""
        return self._per_call[node]

    def is_late(self, call: Call) -> bool:
        """Returns True if a partial has to evaluate something at every call."""
        return call.latent is not None or any(self.is_per_call(child) for child in arguments(call))

    def once_parts(self, node: NodeId) -> Iterator[NodeId]:
        """Yields the nearest once nodes below a node, in order of evaluation, without descending into them."""
        stack = [node]
        seen: set[NodeId] = set()
        while stack:
            current = stack.pop()
            if current in seen:
                continue
            seen.add(current)
            if self.is_once(current):
                yield current
            else:
                stack.extend(reversed(evaluated(self.graph, current)))

    def _contains_factory(self, node: NodeId) -> bool:
        value = self.graph[node]
        if isinstance(value, Call):
            return value.kind is CallKind.FACTORY
        if self.is_once(node):
            return False
        return any(self._per_call[child] for child in evaluated(self.graph, node))

    def _weigh(self) -> dict[NodeId, int]:
        """Returns how many times each node is used in the text of the program; 2 or more means "many"."""
        weights = dict.fromkeys(self.order, 0)
        for root in self.roots:
            weights[root] += 1
        for node in self.order:
            value = self.graph[node]
            weight = 1 if self.is_once(node) else min(weights[node], 2)
            for child in evaluated(self.graph, node):
                weights[child] += weight
            if isinstance(value, Call) and value.kind is CallKind.PARTIAL:
                late = (child for child in arguments(value) if self.is_per_call(child))
                for child in chain(late, () if value.latent is None else (value.latent,)):
                    weights[child] += 1  # when the partial is made or first called, and again at each later call
        return weights


def arguments(call: Call) -> tuple[NodeId, ...]:
    """Returns the arguments of a call, in order of evaluation."""
    return (*call.positional, *(keyword.value for keyword in call.keywords))


def evaluated(graph: Graph, node: NodeId) -> tuple[NodeId, ...]:
    """Returns the nodes that a node is made from, in order of evaluation."""
    value = graph[node]
    match value:
        case ListNode():
            return value.items
        case DictNode():
            return tuple(entry.value for entry in value.entries)
        case Call():
            return arguments(value) if value.latent is None else (*arguments(value), value.latent)
        case Var():
            return () if value.default is None else (value.default,)
        case _:
            return ()


def _mentions(graph: Graph, roots: Collection[NodeId]) -> dict[NodeId, int]:
    counts: dict[NodeId, int] = dict.fromkeys(graph.nodes, 0)
    for root in roots:
        counts[root] += 1
    for node in reachable(graph, roots):
        for child in evaluated(graph, node):
            counts[child] += 1
    return counts


def _topological(graph: Graph, roots: Sequence[NodeId]) -> list[NodeId]:
    """Returns all nodes below the roots, each before the nodes that it mentions."""
    done: set[NodeId] = set()
    finished: list[NodeId] = []
    stack: list[tuple[NodeId, bool]] = [(root, False) for root in roots]
    while stack:
        node, is_finished = stack.pop()
        if is_finished:
            finished.append(node)
        elif node not in done:
            done.add(node)
            stack.append((node, True))
            stack.extend((child, False) for child in evaluated(graph, node))
    return finished[::-1]
