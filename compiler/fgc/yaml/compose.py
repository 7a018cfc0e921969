"""A document's text to YAML nodes with origins, from libyaml's events.

Events keep what composers lose: the place of an alias, duplicate keys, merge keys. After a syntax error composing
goes on at the next key of the root, so that one mistake hides no other.
"""

import re
from collections.abc import Iterator
from functools import cached_property
from itertools import islice
from typing import Any

import yaml
from msgspec import Struct
from msgspec.structs import replace

from fgc.diagnostics import Diagnostic, Outcome, Related, nearest
from fgc.patterns import regex
from fgc.text import Document, Origin, Span
from fgc.yaml.damage import ROOT_KEY, Damage
from fgc.yaml.nodes import AliasNode, Composition, Label, MappingNode, Node, Place, ScalarNode, SequenceNode, Style
from fgc.yaml.open_values import OpenValues

_PARSER: Any = yaml.CLoader if yaml.__with_libyaml__ else yaml.Loader
_TAG = regex(r"(?:&[^\s,\[\]{}]+\s+)?(![^\s]*)")
_LABELS = regex(r"(?:[!&]\S*\s*){0,2}")
_ANCHOR = regex(r"(?:![^\s]*\s+)?&([^\s,\[\]{}]+)")
_NO_CONTENT = regex(r"(?:\s|#[^\n]*(?:\n|\Z))*")
_ANCHOR_LIKE = regex(r"&([^\s,\[\]{}]+)")
_STYLES: dict[str | None, Style] = {
    None: "plain",
    "": "plain",
    "'": "quoted",
    '"': "quoted",
    "|": "scalar block",
    ">": "scalar block",
}
_MAX_DEPTH = 400  # deeper flow nesting is no configuration, and would exhaust later stages
_MAX_SUGGESTIONS = 100  # a text with more mistakes is another kind of text
_MAX_RELATED = 20  # further places of one finding
_MAX_RESTARTS = 20  # each syntax error costs a pass over the rest of the text


def compose(document: Document) -> Outcome[Composition]:
    """Compose the one document of a text. What can be read is kept beside what cannot."""
    composer = _Composer(document)
    composer.run()
    composer.finish()
    composer.composition.needs += composer.open_values.finish(is_whole=not composer.composition.has_syntax_error)
    return Outcome(composer.composition, tuple(composer.diagnostics))


class _Open(Struct):
    """A collection whose end has not come; `key` waits for its value."""

    node: SequenceNode | MappingNode
    start: int
    key: Node | None = None


class _TooDeep(Exception):
    """Collections are nested too deeply to go on; `at` is where."""

    def __init__(self, at: int) -> None:
        super().__init__(at)
        self.at = at


class _Composer:
    def __init__(self, document: Document) -> None:
        self._document = document
        self._base = 0
        self._open: list[_Open] = []
        self._anchored: dict[str, ScalarNode | SequenceNode | MappingNode] = {}
        self._quoted: tuple[int, int] | None = None  # the last scalar, if it stands in quotes
        self._last: tuple[ScalarNode, int] | None = None  # the last scalar and its end
        self.composition = Composition(document)
        self.open_values = OpenValues(document)
        self._damage = Damage(document)
        self._undefined: dict[str, int] = {}  # names of aliases without an anchor, to their findings
        self.diagnostics: list[Diagnostic] = []

    def run(self) -> None:
        for _ in range(_MAX_RESTARTS):
            try:
                self._document_events()
                return
            except yaml.MarkedYAMLError as error:
                at = self._syntax_error(error)
            except _TooDeep as error:
                at = error.at
            except (yaml.reader.ReaderError, UnicodeEncodeError):
                at = self._bad_character()
            following = ROOT_KEY.search(self._document.text, self._line_end(max(at, self._base)))
            self._finish_open()
            if following is None:
                return
            self._base = following.start()

    def _line_end(self, offset: int) -> int:
        end = self._document.text.find("\n", offset)
        return len(self._document.text) if end < 0 else end + 1

    # ---- events

    def _document_events(self) -> None:
        documents = 0
        for event in self._events():
            match event:
                case yaml.ScalarEvent():  # nearly all events
                    self._scalar(event)
                case yaml.MappingStartEvent():
                    self._begin(MappingNode([], self._node_origin(event), self._tag(event)), event)
                case yaml.SequenceStartEvent():
                    self._begin(SequenceNode([], self._node_origin(event), self._tag(event)), event)
                case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                    self._end(self._offset(event.end_mark))
                case yaml.AliasEvent():
                    self._alias(event)
                case yaml.DocumentStartEvent():
                    documents += 1
                    if documents > 1:
                        self._second_document(event)
                        return
                case _:
                    pass

    def _events(self) -> Iterator[Any]:
        parser = _PARSER(self._document.text[self._base :])
        try:
            yield from iter(parser.get_event, None)
        finally:
            parser.dispose()

    def _offset(self, mark: Any) -> int:
        return int(mark.index) + self._base

    def _origin(self, start: int, end: int) -> Origin:
        return self._document.locate(start, max(end, start))

    def _alias(self, event: Any) -> None:
        start, end = self._offset(event.start_mark), self._offset(event.end_mark)
        origin = self._origin(start, end)
        name = event.anchor
        self.composition.aliases.setdefault(name, []).append(origin)
        target = self._anchored.get(name)
        if target is not None and any(open_.node is target for open_ in self._open):
            if not self._damage.around(start):  # else lines that are missing may end what the anchor is on
                self._inside_itself(name, origin, target)
            target = None
        elif target is None and not self._may_be_lost(name, start):
            self._undefined_alias(name, origin, start)
        self._add(AliasNode(name, target, origin))

    def _inside_itself(self, name: str, origin: Origin, target: ScalarNode | SequenceNode | MappingNode) -> None:
        related = (Related(target.anchor.origin.span, "the anchor is here"),) if target.anchor else ()
        message = f"alias `*{name}` is inside its own anchor"
        help = "nothing can contain itself; did you mean another anchor?"
        self.diagnostics.append(Diagnostic.at(origin, "FGC304", message, help=help, related=related))

    def _may_be_lost(self, name: str, at: int) -> bool:
        """Returns True if the anchor may stand where a mistake hid it."""
        if self._damage.before(at) or name in self._document.lost_anchors:
            return True
        return self.composition.has_syntax_error and name in self._last_anchors

    @cached_property
    def _last_anchors(self) -> dict[str, int]:
        """Returns what looks like an anchor, anywhere in the text, with its last place."""
        return {match[1]: match.start(1) for match in _ANCHOR_LIKE.finditer(self._document.text)}

    def _undefined_alias(self, name: str, origin: Origin, start: int) -> None:
        again = self._undefined.get(name)
        if again is not None:
            finding = self.diagnostics[again]
            more = Related(origin.span, f"`*{name}` is here too")
            if len(finding.related) < _MAX_RELATED:
                self.diagnostics[again] = replace(finding, related=(*finding.related, more))
            return
        self._undefined[name] = len(self.diagnostics)
        related: tuple[Related, ...] = ()
        is_among_many = len(self.diagnostics) > _MAX_SUGGESTIONS
        match = None if is_among_many else nearest(name, self._anchored)
        help = f"did you mean `*{match}`?" if match else None
        later = self._last_anchors.get(name, -1)
        if later > start:
            place = self._origin(later, later + len(name))
            related = (Related(place.span, "the anchor comes later"),)
            help = "an anchor must come before its aliases"
        elif not is_among_many and (left_out := self._left_out(name)):
            related = (Related(left_out, f"`&{name}` is here, in text that the configuration leaves out"),)
            help = "if an override replaces its block, define the anchor there too, or begin with `== super()`"
        elif match:
            anchor = self.composition.anchors[match]
            related = (Related(anchor.origin.span, f"`&{anchor.text}` is defined here"),)
        elif not is_among_many and (
            key := re.search(rf"^{re.escape(name)}:(?!\S)", self._document.text[:start], re.MULTILINE)
        ):
            related = (Related(self._origin(*key.span()).span, f"the target `{name}` is here, without an anchor"),)
            help = f"write `{name}: &{name}` before the target's value"
        message = f"alias `*{name}` has no anchor"
        self.diagnostics.append(Diagnostic.at(origin, "FGC302", message, help=help, related=related))

    def _left_out(self, name: str) -> Span | None:
        """The definition of an anchor in a template that the document draws on, where its text is not in it."""
        definition = re.compile(rf"^[^#\n]*:\s+&({re.escape(name)})(?!\S)", re.MULTILINE)
        for source in dict.fromkeys(segment.piece.origin.span.source for segment in self._document.segments):
            if found := definition.search(source.text):
                return Span(source, *found.span(1))
        return None

    def finish(self) -> None:
        """Move a finding to the anchor that is misspelt: nothing mentions it, and its key has the alias's name."""
        for name, at in islice(self._undefined.items(), _MAX_SUGGESTIONS):
            match = nearest(name, self.composition.anchors)
            if match is None or match in self.composition.aliases:
                continue
            anchor, finding = self.composition.anchors[match], self.diagnostics[at]
            line = anchor.origin.span.source.line(anchor.origin.span.first.line)
            if finding.code != "FGC302" or not re.match(rf"\s*(?:- )?{re.escape(name)}:\s", line):
                continue
            related = (Related(finding.span, f"`*{name}` stands here"), *finding.related[1:])
            message = f"this anchor is `&{match}`, but `*{name}` has none"
            help = f"write `&{name}`"
            self.diagnostics[at] = Diagnostic.at(anchor.origin, "FGC302", message, help=help, related=related)

    def _scalar(self, event: Any) -> None:
        start, end, style = event.start_mark.index + self._base, event.end_mark.index + self._base, event.style
        self._quoted = (start, end) if style == '"' or style == "'" else None
        tag = None if event.tag is None else self._tag(event)
        anchor = None if event.anchor is None else self._anchor(event)
        content = start if tag is None and anchor is None else self._content_start(start, end)
        node = ScalarNode(event.value, not style, self._document.locate(content, end), tag, anchor)
        open_parts = self._document.deferred_in(content, end)
        if open_parts:
            place = (content, end)
            self.open_values.fill(
                node, open_parts, place, self._tag_around, is_key=self._is_key, is_item=self._is_in_brackets
            )
        node.is_broken = self._damage.in_scalar(content, end)
        if anchor is not None:
            self._register(node)
        self.composition.places.append(Place(content, end, _STYLES[style], node))
        self._last = (node, end)
        self._add(node)

    @property
    def _is_key(self) -> bool:
        """Returns True if the next node is the key of a pair."""
        return bool(self._open) and isinstance(self._open[-1].node, MappingNode) and self._open[-1].key is None

    @property
    def _tag_around(self) -> str:
        """The tag of the innermost open collection."""
        tag = self._open[-1].node.tag if self._open else None
        return "" if tag is None else tag.text

    def _node_origin(self, event: Any) -> Origin:
        start, end = self._offset(event.start_mark), self._offset(event.end_mark)
        return self._origin(start, max(end, start + 1))

    def _content_start(self, start: int, end: int) -> int:
        """Returns where a node itself begins, behind its tag and anchor."""
        labels = _LABELS.match(self._document.text, start, end)
        return start if labels is None else labels.end()

    def _tag(self, event: Any) -> Label | None:
        if event.tag is None:
            return None
        start = self._offset(event.start_mark)
        match = _TAG.match(self._document.text, start)
        place = match.span(1) if match else (start, start + 1)
        self.open_values.tag(event.tag, *place)
        return Label(event.tag, self._origin(*place), self._damage.in_scalar(*place))

    def _anchor(self, event: Any) -> Label | None:
        if event.anchor is None:
            return None
        start = self._offset(event.start_mark)
        match = _ANCHOR.match(self._document.text, start)
        origin = self._origin(*match.span(1)) if match else self._origin(start, start + 1)
        return Label(event.anchor, origin)

    def _register(self, node: ScalarNode | SequenceNode | MappingNode) -> None:
        anchor = node.anchor
        if anchor is None:
            return
        earlier = self.composition.anchors.get(anchor.text)
        if earlier is not None:
            related = (Related(earlier.origin.span, "the first one is here"),)
            message = f"anchor `&{anchor.text}` is defined twice"
            help = "rename one of them, and its aliases"
            self.diagnostics.append(Diagnostic.at(anchor.origin, "FGC303", message, help=help, related=related))
        self.composition.anchors[anchor.text] = anchor
        self._anchored[anchor.text] = node

    # ---- building

    @property
    def _is_in_brackets(self) -> bool:
        return bool(self._open) and self._document.text[self._open[-1].start] in "[{"

    def _begin(self, node: SequenceNode | MappingNode, event: Any) -> None:
        node.anchor = self._anchor(event)
        self._register(node)
        start, end = self._offset(event.start_mark), self._offset(event.end_mark)
        self._open.append(_Open(node, self._content_start(start, end) if event.tag or event.anchor else start))
        if len(self._open) > _MAX_DEPTH:
            self.composition.has_syntax_error = True
            message = f"collections are nested more than {_MAX_DEPTH} deep"
            help = "anchor the inner ones beside it, and mention them by alias"
            self.diagnostics.append(Diagnostic.at(node.origin, "FGC301", message, help=help))
            raise _TooDeep(self._offset(event.start_mark))

    def _end(self, at: int, *, is_broken: bool = False) -> None:
        ended = self._open.pop()
        style: Style = "flow" if self._document.text[ended.start : ended.start + 1] in tuple("[{") else "block"
        ended.node.is_broken = is_broken or self._damage.in_collection(ended.start, at, is_flow=style == "flow")
        self.composition.places.append(Place(ended.start, at, style, ended.node))
        self._add(ended.node)

    def _add(self, node: Node) -> None:
        if not self._open:
            self._set_root(node)
            return
        open_ = self._open[-1]
        if isinstance(open_.node, SequenceNode):
            open_.node.items.append(node)
        elif open_.key is None:
            open_.key = node
        else:
            open_.node.pairs.append((open_.key, node))
            open_.key = None

    def _set_root(self, node: Node) -> None:
        """The root, or what follows a syntax error: further pairs of the root."""
        root = self.composition.root
        if isinstance(root, MappingNode) and isinstance(node, MappingNode):
            pairs = [*root.pairs, *node.pairs]  # a new node: an alias of the first root must not hold what follows
            self.composition.root = MappingNode(pairs, root.origin, root.tag, root.anchor, is_broken=True)
        elif root is None:
            self.composition.root = node

    def _finish_open(self) -> None:
        while self._open:
            self._open[-1].key = None
            self._end(len(self._document.text), is_broken=True)

    # ---- findings

    def _syntax_error(self, error: yaml.MarkedYAMLError) -> int:
        from fgc.yaml.messages import Complaint, syntax_error  # most texts are YAML

        self.composition.has_syntax_error = True
        mark = error.problem_mark or error.context_mark
        at = min(self._offset(mark), len(self._document.text)) if mark else len(self._document.text)
        context_at = self._offset(error.context_mark) if error.context_mark else None
        complaint = Complaint(error.problem or "", error.context or "", at, context_at, self._quoted)
        diagnostic, resume = syntax_error(self._document, complaint)
        if self._last is not None and _NO_CONTENT.fullmatch(self._document.text, self._last[1], max(at, self._last[1])):
            self._last[0].is_broken = True  # it goes on with lines that are keys
        place = self._document.locate(at)
        is_lost = (place.block, place.span.source) in self._document.lost_blocks
        if not is_lost and not self._damage.around(at):
            self.diagnostics.append(diagnostic)
        return resume

    def _bad_character(self) -> int:
        self.composition.has_syntax_error = True
        text = self._document.text[self._base :]
        bad = re.search("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", text)
        at = self._base + (bad.start() if bad else 0)
        message = f"character {self._document.text[at : at + 1]!r} is not allowed in YAML"
        help = 'remove it, or write it as an escape in double quotes, such as "\\x07"'
        self.diagnostics.append(Diagnostic.at(self._origin(at, at + 1), "FGC301", message, help=help))
        return at

    def _second_document(self, event: Any) -> None:
        start = self._offset(event.start_mark)
        origin = self._origin(start, start + 3)
        message = "a configuration is one YAML document, and a second one begins here"
        self.diagnostics.append(Diagnostic.at(origin, "FGC305", message, help="remove the `---` line"))
