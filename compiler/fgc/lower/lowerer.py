"""Lowers one composition: targets, plain values, and a call for every construction tag."""

from msgspec.structs import replace

from fgc.diagnostics import Diagnostic, Edit, Outcome, Related, Severity, did_you_mean, has_errors, nearest
from fgc.ir import (
    DISPLAY_TAGS,
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
    Scalar,
    Symbol,
    SymbolKind,
    Var,
    verify,
)
from fgc.lower.arguments import ArgumentReader, CallArguments
from fgc.lower.callables import read_symbol
from fgc.lower.pairs import Pair, PairReader
from fgc.patterns import regex
from fgc.syntax import CALL_TAGS, TAG_KINDS, Tag, parse_tag
from fgc.text import Origin
from fgc.yaml import (
    AliasNode,
    Composition,
    Label,
    MappingNode,
    Node,
    ScalarNode,
    SequenceNode,
    TooManyDigits,
    UnsupportedScalar,
    scalar_type,
    scalar_value,
    standard_type,
)

_OTHER_CALLS = {
    "factory": CallKind.FACTORY,
    "partial": CallKind.PARTIAL,
    "lambda": CallKind.PARTIAL,
    "meta": CallKind.META,
}
_CALLS = {kind: _OTHER_CALLS.get(kind, CallKind.SINGLETON) for kind in CALL_TAGS}
_MAX_SUGGESTIONS = 100  # more mistakes mean that it is another kind of file
_NAME_OF_CALLABLE = regex(r"[A-Za-z_.][\w./]*(?::[\w.]+)?(?:@\w+)?")
_OF_TAGS = ("FGC312", "FGC401", "FGC402", "FGC403", "FGC404", "FGC409")  # valid whatever the value below the tag is
_CROWDED = regex(r"[,\[\]{}]")  # ends an item of a flow collection, but a tag includes it


def lower(composition: Composition, at: Origin) -> Outcome[Graph]:
    """Returns the graph of a composed document; `at` is the place of findings about an empty one."""
    lowerer = _Lowerer()
    graph = lowerer.root(composition, at)
    verify(graph)
    return Outcome(graph, tuple(lowerer.diagnostics))


class _Lowerer:
    def __init__(self) -> None:
        self._builder = GraphBuilder()
        self._done: dict[int, tuple[Node, NodeId]] = {}  # keeps the node alive, so that no other node gets its id
        self._names: dict[str, Label] = {}
        self._arguments = ArgumentReader(self)
        self._pairs = PairReader(self.scalar, self.report)
        self.diagnostics: list[Diagnostic] = []

    def report(self, diagnostic: Diagnostic) -> None:
        self.diagnostics.append(diagnostic)

    def error(self, origin: Origin, code: str, message: str, help: str | None = None) -> None:
        self.report(Diagnostic.at(origin, code, message, help=help))

    # ---- the root

    def root(self, composition: Composition, at: Origin) -> Graph:
        node = composition.root
        targets: dict[str, NodeId] = {}
        origins: dict[str, Origin] = {}
        if isinstance(node, MappingNode) and node.tag is None:
            for pair in self.pairs(node):
                value = self.lower(pair.value, str(pair.key))
                if not isinstance(pair.key, str):
                    self.error(pair.origin, "FGC306", f"the name of a target must be a text, not `{pair.key}`")
                elif not pair.key.startswith("."):
                    targets[pair.key], origins[pair.key] = value, pair.origin
        elif node is None:
            if not composition.is_partial:
                self.error(
                    at, "FGC306", "the configuration is empty: a mapping of targets is expected", "write `name: value`"
                )
        elif not composition.is_partial:
            origin = node.tag.origin if not isinstance(node, AliasNode) and node.tag else node.origin
            self.error(origin, "FGC306", "the root must be a mapping of targets", "write `name:` before this value")
        self._builder.is_partial = composition.document.has_lost_text
        return self._builder.finish(targets, origins)

    # ---- values

    def lower(self, node: Node, hint: str | None = None) -> NodeId:
        """Returns the graph node of a YAML node; all mentions of an anchored node share one."""
        target = node.target if isinstance(node, AliasNode) else node
        if target is None:
            return self.null(node.origin)
        done = self._done.get(id(target))
        if done is not None:
            return done[1]
        place = self._builder.reserve()
        self._done[id(target)] = (target, place)
        self._fill_soundly(place, target)
        if target.anchor is not None:
            self._builder.named.add(place)
        name = target.anchor.text if target.anchor else hint
        if name is not None:
            self._builder.hints.setdefault(place, name)
        return place

    def null(self, origin: Origin) -> NodeId:
        """Returns a node for an unknown value, after a mistake was reported."""
        place = self._builder.add(Literal(None, origin))
        self._builder.broken.add(place)
        return place

    def _fill_soundly(self, place: NodeId, node: ScalarNode | SequenceNode | MappingNode) -> None:
        """Fills a place; marks it as broken if the node is broken or contains a mistake."""
        count = len(self.diagnostics)
        self._fill(place, node)
        if node.is_broken and isinstance(node, ScalarNode):
            self.diagnostics[count:] = [item for item in self.diagnostics[count:] if item.code in _OF_TAGS]
        if node.is_broken or (len(self.diagnostics) > count and has_errors(self.diagnostics[count:])):
            self._builder.broken.add(place)

    def put(self, place: NodeId, node: Literal | Deferred | ListNode | DictNode | Call | Var) -> None:
        self._builder.put(place, node)

    def _fill(self, place: NodeId, node: ScalarNode | SequenceNode | MappingNode) -> None:
        if node.tag is not None and node.tag.text != "!":
            kind = standard_type(node.tag.text)
            if kind is not None:
                self._standard(place, node, kind, node.tag)
            else:
                self._construction(place, node, node.tag)
            return
        match node:
            case ScalarNode():
                self._scalar(place, node)
            case SequenceNode():
                self.put(place, ListNode(self.items(node), node.origin))
            case MappingNode():
                self._mapping(place, node)

    def _scalar(self, place: NodeId, node: ScalarNode) -> None:
        value = self.scalar(node)
        if node.parts is not None and value is not None:
            text, number = (value, None) if isinstance(value, str) else (node.value, value)
            self.put(place, Deferred(text, node.parts, node.origin, number, node.forms))
        else:
            self.put(place, Literal(value, node.origin, node.argument, node.forms))

    def scalar(self, node: ScalarNode) -> Scalar:
        """Returns the value of an untagged or standard-tagged scalar."""
        is_untagged = node.tag is None
        kind = scalar_type(node.value, node.is_plain) if is_untagged else None
        if node.tag is not None:
            kind = "str" if node.tag.text == "!" else standard_type(node.tag.text)
        try:
            return scalar_value(node.value, kind or "str")
        except TooManyDigits:
            self.error(node.origin, "FGC307", "this integer has too many digits", "put it in quotes to make it a text")
        except UnsupportedScalar:
            help = "put it in quotes to make it a text" if is_untagged else None
            message = f"`{node.value}` is a YAML {_TYPE_NAMES.get(kind or '', kind)}, which configurations do not have"
            self.error(node.origin, "FGC307", message, help)
        except (ValueError, OverflowError, LookupError):
            help = "correct the value, or drop the tag" if not is_untagged else None
            self.error(node.origin, "FGC307", f"`{node.value[:60]}` is no {kind}", help)
        return node.value

    def _standard(self, place: NodeId, node: ScalarNode | SequenceNode | MappingNode, kind: str, tag: Label) -> None:
        if isinstance(node, ScalarNode) and kind in ("null", "bool", "int", "float", "str"):
            self._scalar(place, node)
        elif isinstance(node, SequenceNode) and kind == "seq":
            self.put(place, ListNode(self.items(node), node.origin))
        elif isinstance(node, MappingNode) and kind == "map":
            self._mapping(place, node)
        else:
            self.put(place, Literal(None, node.origin))
            help = "values are null, booleans, numbers, texts, lists and mappings; for others construct them with a tag"
            self.error(tag.origin, "FGC307", f"`!!{kind}` is a YAML type that configurations do not have", help)

    def items(self, node: SequenceNode) -> tuple[NodeId, ...]:
        return tuple(self.lower(item) for item in node.items)

    def _mapping(self, place: NodeId, node: MappingNode) -> None:
        entries = tuple(
            Entry(pair.key, self.lower(pair.value, pair.key if isinstance(pair.key, str) else None), pair.origin)
            for pair in self.pairs(node)
        )
        self.put(place, DictNode(entries, node.origin))

    def pairs(self, node: MappingNode) -> list[Pair]:
        """Returns the pairs of a mapping after merging and overriding."""
        return self._pairs.read(node)

    # ---- construction tags

    def _construction(self, place: NodeId, node: ScalarNode | SequenceNode | MappingNode, label: Label) -> None:
        if label.is_broken:
            self.put(place, Literal(None, node.origin))
            self._builder.broken.add(place)
            self._arguments.read(node)  # its contents are checked all the same
            return
        tag = parse_tag(label.text)
        if tag is None or tag.kind not in TAG_KINDS:
            self._unknown_tag(place, node, label, tag)
            return
        if tag.kind == "var":
            self._var(place, node, label, tag)
            return
        self._name(tag, label, place)
        if tag.kind in DISPLAY_TAGS:
            self._collection(place, node, label, tag)
            return
        if tag.kind == "lambda":
            message = "`!lambda` is the old name of `!partial`"
            better, span = label.text.replace("!lambda", "!partial", 1), label.origin.span
            fix = Edit(span, better) if span.text == label.text else None
            help = f"write `{better}`"
            self.report(Diagnostic.at(label.origin, "FGC409", message, severity=Severity.WARNING, help=help, fix=fix))
        self._call(place, node, label, tag)

    def _unknown_tag(self, place: NodeId, node: Node, label: Label, tag: Tag | None) -> None:
        self.put(place, Literal(None, node.origin))
        word = tag.kind if tag else label.text.lstrip("!").split(":")[0]
        suggestion = did_you_mean(word, TAG_KINDS) if len(self.diagnostics) < _MAX_SUGGESTIONS else None
        help = suggestion.replace("`", "`!", 1) if suggestion else "tags are " + ", ".join(f"`!{k}`" for k in TAG_KINDS)
        crowded = _CROWDED.search(label.text)
        if crowded is not None:
            self._crowded_tag(label, crowded.start())
            return
        self.error(label.origin, "FGC401", f"unknown tag `{label.text}`", help)

    def _crowded_tag(self, label: Label, at: int) -> None:
        character = label.text[at]
        help = f"write a space between the tag and `{character}`"
        message = f"`{character}` is read as part of the tag `{label.text}`"
        self.report(Diagnostic.at(_within(label, at, 1), "FGC312", message, help=help))

    def _name(self, tag: Tag, label: Label, place: NodeId) -> None:
        if tag.name is None:
            return
        self._builder.hints[place] = tag.name
        self._builder.named.add(place)
        origin = _within(label, tag.name_start, len(tag.name))
        earlier = self._names.setdefault(tag.name, Label(tag.name, origin))
        if earlier.origin is not origin:
            related = (Related(earlier.origin.span, "the first one is here"),)
            message = f"name `@{tag.name}` is given twice"
            help = "a name denotes one object; to use the object again, use an anchor and an alias"
            self.report(Diagnostic.at(origin, "FGC404", message, help=help, related=related))

    def _call(self, place: NodeId, node: ScalarNode | SequenceNode | MappingNode, label: Label, tag: Tag) -> None:
        if not tag.callable:
            self.put(place, Literal(None, node.origin))
            help = _help_on_callable(tag.kind, node)
            self.error(label.origin, "FGC402", f"`{label.text}` names no callable", help)
            return
        symbol, finding = read_symbol(tag.callable, _within(label, tag.callable_start, len(tag.callable)))
        if finding is not None:
            self.report(finding)
        arguments = self._arguments.read(node)
        self.put(place, _make_call(symbol, _CALLS[tag.kind], arguments, label.origin, tag.name))

    def _collection(self, place: NodeId, node: ScalarNode | SequenceNode | MappingNode, label: Label, tag: Tag) -> None:
        builtin = DISPLAY_TAGS[tag.kind]
        symbol = Symbol(builtin, SymbolKind.BUILTIN, "", builtin, label.origin)
        if tag.callable:
            origin = _within(label, tag.callable_start, len(tag.callable))
            message = f"`!{tag.kind}` does not take a callable: `{tag.callable}` is ignored"
            self.report(Diagnostic.at(origin, "FGC403", message, severity=Severity.WARNING))
        arguments = CallArguments()
        is_empty = isinstance(node, ScalarNode) and node.value == ""
        if tag.kind == "dict" and (isinstance(node, MappingNode) or is_empty):
            arguments.keywords = self._keywords(node) if isinstance(node, MappingNode) else []
        elif tag.kind == "dlist" and (isinstance(node, MappingNode) or is_empty):
            values = self._dlist(node) if isinstance(node, MappingNode) else ()
            arguments.positional = [self._builder.add(ListNode(values, node.origin))]
        elif tag.kind in ("list", "tuple") and (isinstance(node, SequenceNode) or is_empty):
            items = self.items(node) if isinstance(node, SequenceNode) else ()
            arguments.positional = [self._builder.add(ListNode(items, node.origin))]
        else:
            wanted = "mapping" if tag.kind in ("dict", "dlist") else "sequence"
            example = "{key: value}" if wanted == "mapping" else "[value]"
            help = f"write `!{tag.kind} {example}`"
            self.error(node.origin, "FGC405", f"`!{tag.kind}` takes a {wanted} or nothing", help)
            arguments.positional = [] if tag.kind == "dict" else [self._builder.add(ListNode((), node.origin))]
        self.put(place, _make_call(symbol, CallKind.SINGLETON, arguments, label.origin, tag.name))

    def _keywords(self, node: MappingNode) -> list[Keyword]:
        return self._arguments.keywords(self.pairs(node))

    def _dlist(self, node: MappingNode) -> tuple[NodeId, ...]:
        values = []
        for pair in self.pairs(node):
            target = pair.value.target if isinstance(pair.value, AliasNode) else pair.value
            is_null = isinstance(target, ScalarNode) and target.tag is None and self.scalar(target) is None
            if not is_null:
                values.append(self.lower(pair.value, pair.key if isinstance(pair.key, str) else None))
        return tuple(values)

    # ---- variables

    def _var(self, place: NodeId, node: ScalarNode | SequenceNode | MappingNode, label: Label, tag: Tag) -> None:
        self.put(place, Literal(None, node.origin))
        if tag.has_colon or tag.name is not None:
            self.error(label.origin, "FGC401", f"unknown tag `{label.text}`", "a variable is written `!var name`")
        elif isinstance(node, ScalarNode) and node.value:
            self.put(place, Var(node.value, None, label.origin))
        elif isinstance(node, MappingNode):
            self._var_mapping(place, node, label)
        elif isinstance(node, SequenceNode) and 1 <= len(node.items) <= 2:
            self._var_named(place, node.items[0], node.items[1] if len(node.items) == 2 else None, label)
        elif isinstance(node, SequenceNode) and node.items:
            origin = node.items[2].origin
            self.error(origin, "FGC408", "`!var` takes a name and one default", "put more values into one list")
        else:
            help = "write `!var name`, `!var [name, default]` or `!var {name: name, default: value}`"
            self.error(label.origin, "FGC408", "`!var` takes a name, and perhaps a default", help)

    def _var_mapping(self, place: NodeId, node: MappingNode, label: Label) -> None:
        pairs = {pair.key: pair for pair in self.pairs(node)}
        unknown = [(key, pair) for key, pair in pairs.items() if key not in ("name", "default")]
        for key, pair in unknown:
            help = did_you_mean(str(key), ("name", "default")) or "it has `name` and `default`"
            self.error(pair.origin, "FGC408", f"`!var` has no key `{key}`", help)
        name, default = pairs.get("name"), pairs.get("default")
        if name is not None:
            self._var_named(place, name.value, default.value if default else None, label)
        elif not any(nearest(str(key), ("name",)) for key, _ in unknown):  # otherwise the misspelt key was meant
            self.error(label.origin, "FGC408", "`!var` lacks a `name`", "write `!var {name: name, default: value}`")

    def _var_named(self, place: NodeId, name: Node, default: Node | None, label: Label) -> None:
        target = name.target if isinstance(name, AliasNode) else name
        value = self.scalar(target) if isinstance(target, ScalarNode) else None
        if target is None:
            return  # the alias was reported
        if not isinstance(value, str):
            help = "write `!var [name, default]` or `!var {name: name, default: value}`"
            self.error(name.origin, "FGC408", "the `name` of a `!var` must be a text", help)
            return
        self.put(place, Var(value, None if default is None else self.lower(default, value), label.origin))


_TYPE_NAMES = {"timestamp": "date", "value": "value key", "merge": "merge key"}


def _help_on_callable(kind: str, node: ScalarNode | SequenceNode | MappingNode) -> str:
    """Returns what to write for a tag without a callable, whose value may be the callable."""
    words = node.value.split() if isinstance(node, ScalarNode) and node.is_plain else []
    if words and _NAME_OF_CALLABLE.fullmatch(words[0]):
        return f"write `!{kind}:{words[0]}`, without the space"
    return f"write `!{kind}:module:name`"


def _make_call(symbol: Symbol, kind: CallKind, arguments: CallArguments, origin: Origin, name: str | None) -> Call:
    call = Call(symbol, kind, tuple(arguments.positional), tuple(arguments.keywords), origin, name)
    return replace(call, searchpath=arguments.searchpath, latent=arguments.latent)


def _within(label: Label, start: int, length: int) -> Origin:
    """Returns the place of a part of a tag, or of the whole tag if its text was not written literally."""
    origin = label.origin
    if origin.span.text != label.text:
        return origin
    return Origin(origin.span.at(start, start + length), origin.via, origin.block)
