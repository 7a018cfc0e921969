"""Random graphs: everything that a configuration can say, and much that nobody should."""

import os
import socket
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from fgc.ir import (
    Call,
    CallKind,
    Deferred,
    DictNode,
    Entry,
    Graph,
    GraphBuilder,
    Keyword,
    ListNode,
    Literal,
    NodeId,
    Symbol,
    SymbolKind,
    Var,
    children,
)
from fgc.text import DeferredCall, DeferredExpression, DeferredName, Origin, Source, Span
from hypothesis import assume
from hypothesis import strategies as st

T = TypeVar("T")
MAX_OBJECTS = 2000

HERE = Origin(Span(Source("fuzz.yaml", "x"), 0, 1))
_SCALARS: list[Any] = [
    None, True, False, 0, 1, -1, 7, 2**64, -(10**30), 10**5000, 0.0, -0.0, 1.5, -2.5, 1e-5, 1e300,
    float("inf"), float("-inf"), float("nan"), "", "a", "items",
    "two\nlines\n", "ünï ☃ \U0001f600", 'q"\'\\{x}', "\x00\x7f\x85",
    "a longer text with words that goes on and on until it does not fit on any line of any file at all " * 2,
    "\n".join(f"line {number}" for number in range(12)) + '"""\\\n',
]  # fmt: skip
_WORDS = ["model", "lambda", "class", "list", "print", "a-b", "two words", "l", "main", "args", "kwargs", "self", "é",
          "value", "None", "match", "rec", "ﬁ", "func", "1x", "", "__debug__"]  # fmt: skip
_HELPERS = ["items", "keys", "values", "getitem", "getattr", "call", "named_list", "named_tuple", "named_dict", "list",
            "dict", "len", "dict.fromkeys"]  # fmt: skip
_OPERATORS = ["add", "matmul", "neg", "lt", "getitem", "call", "not_", "contains", "truth", "mod",
              "sub", "concat"]  # fmt: skip
_HOME = DeferredName("project_dir")
_RUN_TIME: list[tuple[str, str | DeferredExpression]] = [
    (os.getcwd(), _HOME),  # noqa: PTH109 -- what the program calls
    (os.path.join(os.getcwd(), "a b", "é"), DeferredCall("joinpath", (_HOME, "a b", "é"))),  # noqa: PTH109, PTH118
    (os.path.dirname(os.getcwd()), DeferredCall("dirname", (_HOME,))),  # noqa: PTH109, PTH120
    (os.path.expanduser("~"), DeferredCall("user_home_dir", ())),  # noqa: PTH111
    (socket.gethostname(), DeferredName("hostname")),
    ("-", "-"), ("{x}", "{x}"), ('"\\', '"\\'), ("\n", "\n"), ("", ""),
]  # fmt: skip
_KINDS = [CallKind.SINGLETON, CallKind.SINGLETON, CallKind.FACTORY, CallKind.PARTIAL]


def symbol(text: str) -> Symbol:
    """A symbol as `lower` makes it."""
    container, colon, attribute = text.partition(":")
    if not colon:
        return Symbol(text, SymbolKind.BUILTIN, "", text, HERE)
    return Symbol(text, SymbolKind.MODULE, container, attribute, HERE)


class _Drawing:
    def __init__(self, number: Callable[[int], int], symbols: Sequence[str]) -> None:
        self.count = number
        self.symbols = symbols
        self.builder = GraphBuilder()
        self.made: list[NodeId] = []

    def pick(self, choices: Sequence[T]) -> T:
        return choices[self.count(len(choices) - 1)]

    def child(self) -> NodeId:
        """A scalar, or an earlier node; recent ones more often, so that graphs get deep."""
        if not self.made or self.count(4) == 0:
            return self.builder.add(Literal(self.pick(_SCALARS), HERE))
        if self.count(2) == 0:
            return self.pick(self.made)
        return self.pick(self.made[-3:])

    def children(self, most: int) -> tuple[NodeId, ...]:
        return tuple(self.child() for _ in range(self.count(most)))

    def words(self, most: int) -> list[str]:
        return list(dict.fromkeys(self.pick(_WORDS) for _ in range(self.count(most))))

    def node(self) -> NodeId:
        kind = self.count(12)
        if kind == 0:
            value: Any = ListNode(self.children(4), HERE)
        elif kind == 1:
            value = self.mapping()
        elif kind == 2:
            value = Var(self.pick(_WORDS[:9]), self.child() if self.count(3) else None, HERE)
        elif kind == 3:
            value = self.helper()
        elif kind == 4:
            value = self.deferred()
        else:
            value = self.call()
        node = self.builder.add(value)
        if self.count(2) == 0:
            self.builder.hints[node] = self.pick(_WORDS)
            if self.count(1):
                self.builder.named.add(node)
        self.made.append(node)
        if self.count(59) == 0:
            self.made.append(self.chain(node, self.count(60)))
        return node

    def chain(self, node: NodeId, length: int) -> NodeId:
        """A node deep inside lists, mappings, calls and partials of partials."""
        kinds = [self.count(5) for _ in range(3)]
        for level in range(length):
            kind = kinds[level % len(kinds)]
            value: Any = ListNode((node,), HERE) if kind == 0 else DictNode((Entry("k", node, HERE),), HERE)
            if kind > 1:
                symbol_of_level = symbol(self.symbols[level % len(self.symbols)])
                value = Call(symbol_of_level, _KINDS[kind - 2], (), (Keyword("rec", node, HERE),), HERE)
            node = self.builder.add(value)
        return node

    def deferred(self) -> Deferred:
        """A text with parts that are known only at run time, and that are the same in this process."""
        parts = [self.pick(_RUN_TIME) for _ in range(1 + self.count(3))]
        return Deferred("".join(text for text, _ in parts), tuple(part for _, part in parts), HERE)

    def mapping(self) -> DictNode:
        keys: list[Any] = [
            *self.words(4),
            *(self.pick([1, -2, 2.5, None, ("a", 1), ("b",)]) for _ in range(self.count(1))),
        ]
        return DictNode(tuple(Entry(key, self.child(), HERE) for key in keys), HERE)

    def call(self) -> Call:
        keywords = tuple(Keyword(name, self.child(), HERE) for name in self.words(3))
        latent = None
        if self.count(9) == 0:
            latent = self.builder.add(self.mapping_of_names())
        return Call(symbol(self.pick(self.symbols)), self.pick(_KINDS), self.children(3), keywords, HERE, latent=latent)

    def mapping_of_names(self) -> DictNode:
        return DictNode(tuple(Entry(name, self.child(), HERE) for name in self.words(3)), HERE)

    def helper(self) -> Call:
        name = self.pick(_HELPERS) if self.count(1) else f"operator:{self.pick(_OPERATORS)}"
        if name == "getattr":
            return Call(symbol(name), self.pick(_KINDS), (self.child(), self.builder.add(Literal("n", HERE))), (), HERE)
        keywords = tuple(Keyword(word, self.child(), HERE) for word in self.words(2)) if name == "named_dict" else ()
        return Call(symbol(name), self.pick(_KINDS), self.children(3), keywords, HERE)


@st.composite
def graphs(draw: Callable[[st.SearchStrategy[Any]], Any], symbols: Sequence[str], size: int = 14) -> Graph:
    """A graph whose later nodes mention earlier ones; the last nodes are among the targets."""
    graph = drawn_graph(lambda most: int(draw(st.integers(0, most))), symbols, size)
    assume(num_objects(graph) < MAX_OBJECTS)
    return graph


def drawn_graph(number: Callable[[int], int], symbols: Sequence[str], size: int = 14) -> Graph:
    """A graph by the numbers, from 0 to the given one, that it asks for."""
    drawing = _Drawing(number, symbols)
    for _ in range(1 + number(size)):
        drawing.node()
    targets = {"main": drawing.made[-1]}
    for name in drawing.words(3):
        targets.setdefault(name, drawing.pick(drawing.made))
    names = list(targets)
    if number(1):
        names.reverse()
    return drawing.builder.finish({name: targets[name] for name in names})


def num_objects(graph: Graph) -> int:
    """About how many objects a graph constructs: factories in factories multiply."""
    counts: dict[NodeId, int] = {}
    built_once = 0
    for node_id, node in graph.nodes.items():  # children come first here
        is_once = isinstance(node, Call) and node.kind is CallKind.SINGLETON
        own = sum(counts[child] for child in children(node)) * (2 if isinstance(node, Call) else 1) + 1
        counts[node_id] = 1 if is_once else own
        built_once += own if is_once else 0
    return built_once + sum(counts[target] for target in graph.targets.values())


def deep_graph(depth: int, kinds: Sequence[str]) -> Graph:
    """A graph nested as deep as it is long."""
    builder = GraphBuilder()
    node = builder.add(Literal(1, HERE))
    for level in range(depth):
        match kinds[level % len(kinds)]:
            case "list":
                node = builder.add(ListNode((node,), HERE))
            case "dict":
                node = builder.add(DictNode((Entry("k", node, HERE),), HERE))
            case kind:
                rec = symbol("fgc_recorded.alpha:Model")
                node = builder.add(Call(rec, CallKind(kind), (node,), (), HERE))
    return builder.finish({"main": node})
