"""Model descriptions in YAML to graphs, with the place of everything: just enough to test the generator alone."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from fgc.diagnostics import Outcome
from fgc.emit.model import ModelExpansion, check_model_package, expand_model_package
from fgc.ir import (
    Call,
    CallKind,
    DictNode,
    Entry,
    Graph,
    GraphBuilder,
    Keyword,
    ListNode,
    Literal,
    Node,
    NodeId,
    Symbol,
    SymbolKind,
    Var,
)
from fgc.text import Origin, Source, Span

COMPONENTS = Path(__file__).parents[4] / "modelsrc" / "fgc_models"
_KINDS = {"call": CallKind.SINGLETON, "partial": CallKind.PARTIAL, "factory": CallKind.FACTORY, "meta": CallKind.META}


class GraphReader:
    """Lowers one YAML text; aliases are shared nodes."""

    def __init__(self, text: str) -> None:
        self.source = Source("model.yaml", text)
        self.builder = GraphBuilder()
        self.known: dict[int, NodeId] = {}

    def graph(self) -> Graph:
        root = yaml.compose(self.source.text)
        targets = {key.value: self.lower(value) for key, value in root.value if not key.value.startswith(".")}
        return self.builder.finish(targets)

    def lower(self, node: yaml.Node) -> NodeId:
        if id(node) not in self.known:
            self.known[id(node)] = self.builder.reserve()
            self.builder.put(self.known[id(node)], self.read(node))
        return self.known[id(node)]

    def read(self, node: yaml.Node) -> Node:
        tag = node.tag
        if tag == "!var":
            return Var(node.value, None, self.at(node, "!var"))
        if tag.startswith("!"):
            return self.call(node, *tag[1:].split(":", 1))
        if isinstance(node, yaml.MappingNode):
            entries = tuple(Entry(k.value, self.lower(v), self.at(k, k.value)) for k, v in self.last(node))
            return DictNode(entries, self.at(node, ""))
        if isinstance(node, yaml.SequenceNode):
            return ListNode(tuple(self.lower(item) for item in node.value), self.at(node, ""))
        return Literal(yaml.safe_load(node.value) if node.style is None else node.value, self.at(node, node.value))

    def call(self, node: yaml.Node, kind: str, text: str) -> Call:
        text = text.split("@")[0]
        start = self.source.text.index(text, node.start_mark.index)
        origin = Origin(Span(self.source, start, start + len(text)))
        container, _, attribute = text.rpartition(":")
        symbol_kind = SymbolKind.MODULE if container else SymbolKind.BUILTIN
        symbol_kind = SymbolKind.COMPONENT if container.startswith(".") else symbol_kind
        symbol = Symbol(text, symbol_kind, container, attribute, origin)
        positional: tuple[NodeId, ...] = ()
        keywords: tuple[Keyword, ...] = ()
        if isinstance(node, yaml.SequenceNode):
            positional = tuple(self.lower(item) for item in node.value)
        elif isinstance(node, yaml.MappingNode):
            pairs = self.last(node)
            positional = tuple(self.lower(v) for k, v in pairs if k.value.startswith("arg"))
            named = [(k, v) for k, v in pairs if not k.value.startswith("arg")]
            keywords = tuple(Keyword(k.value, self.lower(v), self.at(k, k.value)) for k, v in named)
        return Call(symbol, _KINDS[kind], positional, keywords, Origin(Span(self.source, start - len(kind) - 2, start)))

    def last(self, node: yaml.MappingNode) -> list[tuple[yaml.Node, yaml.Node]]:
        """Of duplicate keys the last value, at the place of the first."""
        return list({key.value: (key, value) for key, value in node.value}.values())

    def at(self, node: yaml.Node, text: str) -> Origin:
        return Origin(Span(self.source, node.start_mark.index, node.start_mark.index + len(text)))


def read_source(path: str) -> Source | None:
    file = Path(path)
    return Source(path, file.read_text(encoding="utf-8"), path) if file.is_file() else None


@pytest.fixture
def expand() -> Callable[..., Outcome[ModelExpansion | None]]:
    """Expand the target `model` of a YAML text; more component files can be given by path."""

    def run(
        text: str, files: dict[str, str] | None = None, folders: tuple[str, ...] = ()
    ) -> Outcome[ModelExpansion | None]:
        def read(path: str) -> Source | None:
            given = (files or {}).get(path)
            return read_source(path) if given is None else Source(path, given, path)

        graph = GraphReader(text).graph()
        return expand_model_package(graph, graph.targets["model"], read, [*folders, str(COMPONENTS)], "model.yaml")

    return run


@pytest.fixture
def check() -> Callable[[str], list[str]]:
    """The codes that checking the target `model` of a YAML text finds."""

    def run(text: str) -> list[str]:
        graph = GraphReader(text).graph()
        found = check_model_package(graph, graph.targets["model"], read_source, [str(COMPONENTS)])
        return [item.code for item in found.diagnostics]

    return run


@pytest.fixture
def llama() -> str:
    """A small Llama, described in full."""
    return (Path(__file__).parent / "llama.yaml").read_text(encoding="utf-8")
