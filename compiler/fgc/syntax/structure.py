"""Statements and data, one after another, to nested statements; a mistake in the nesting names both places."""

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from fgc.diagnostics import Diagnostic, Related
from fgc.syntax import ast
from fgc.syntax.lines import Header
from fgc.syntax.nodes import UNKNOWN, Head
from fgc.syntax.tokens import Token
from fgc.text import Span

_ENDS = {
    "endif": "if",
    "endfor": "for",
    "endblock": "block",
    "endmacro": "macro",
    "endcall": "call_block",
    "endfilter": "filter_block",
    "endset": "set_block",
    "endwith": "with",
    "endautoescape": "autoescape",
}
_OF_BLOCKS = ("FGC106", "FGC205")  # mistakes that leave no doubt where blocks begin and end
_MAX_AHEAD = 500  # statements and texts in which the end of one is looked for
_MAX_DEPTH = 100  # statements inside each other; the deepest known is 9
_NAMES = {"call_block": "call", "filter_block": "filter", "set_block": "set"}


class Item(Struct):
    """One unnested thing: text, a print, or a statement's head. Headers are marked as in `delimit.Code`."""

    value: ast.Text | ast.Print | Head
    header: Header | None = None
    closes: Header | None = None


class _Open(Struct):
    """A statement that waits for its end: finished sections, and the statements of the section being read."""

    head: Head
    header: Header | None
    sections: list[tuple[Head, list[ast.Statement]]] = field(default_factory=list)


class Nested(Struct, frozen=True):
    """Statements, every block in them by name, and whether blocks may be missing: where one ends is not known."""

    body: tuple[ast.Statement, ...]
    blocks: dict[str, ast.Block]
    has_lost_blocks: bool
    diagnostics: tuple[Diagnostic, ...]


def nest(items: Sequence[Item]) -> Nested:
    """Nests items. Of what statements that cannot be read may mean, that which leaves the fewest mistakes."""
    has_broken = any(isinstance(item.value, Head) and item.value.is_broken for item in items)
    readings = [(False, False), (True, False), (False, True), (True, True)] if has_broken else [(False, False)]
    best: Nested | None = None
    for ignores_broken, unknown_ends in readings:
        found = _Nester(ignores_broken=ignores_broken, unknown_ends=unknown_ends).nest(items)
        if best is None or len(found.diagnostics) < len(best.diagnostics):
            best = found
        if not best.diagnostics:
            break
    assert best is not None, "there is always a reading"
    return best


class _Nester:
    """Nests items once. `ignores_broken`: what cannot be read opens and ends nothing; `unknown_ends`: it ends all."""

    def __init__(self, *, ignores_broken: bool, unknown_ends: bool) -> None:
        self._ignores_broken = ignores_broken
        self._unknown_ends = unknown_ends
        self._has_lost_blocks = False
        self._items: Sequence[Item] = ()
        self._at = 0
        self._stack: list[_Open] = []
        self._root: list[ast.Statement] = []
        self._header_names: set[str] = set()  # two headers of one name were reported when their lines were read
        self._ended_early: list[str] = []  # statements that a header's end closed: their own end is no second mistake
        self.blocks: dict[str, ast.Block] = {}
        self.diagnostics: list[Diagnostic] = []

    def nest(self, items: Sequence[Item]) -> Nested:
        body = self._body_of(items)
        is_lost = self._has_lost_blocks or any(item.code not in _OF_BLOCKS for item in self.diagnostics)
        return Nested(body, self.blocks, is_lost, tuple(self.diagnostics))

    def _body_of(self, items: Sequence[Item]) -> tuple[ast.Statement, ...]:
        self._items = items
        for self._at, item in enumerate(items):
            if len(self._stack) > _MAX_DEPTH:
                self._too_deep(self._stack[-1].head)
                return ()
            if isinstance(item.value, Head):
                self._head(item.value, item)
            else:
                self._body.append(item.value)
        while self._stack:
            self._never_closed(self._stack[-1])
            self._give_up()
        return tuple(self._root)

    def _too_deep(self, head: Head) -> None:
        message = f"statements and blocks are nested more than {_MAX_DEPTH} deep"
        self.blocks.clear()
        self._error("FGC208", message, head.span, help="move the inner ones to a separate template")

    @property
    def _body(self) -> list[ast.Statement]:
        return self._stack[-1].sections[-1][1] if self._stack else self._root

    def _error(self, code: str, message: str, span: Span, *related: Related, help: str | None = None) -> None:
        self.diagnostics.append(Diagnostic(code, message, span, help=help, related=related))

    def _head(self, head: Head, item: Item) -> None:
        keyword = head.keyword
        if keyword == UNKNOWN or (head.is_broken and self._ignores_broken and keyword not in _SIMPLE):
            self._unread(head)
        elif keyword in _ENDS:
            self._end(head, item.closes)
        elif keyword in ("elif", "else"):
            self._section(head)
        elif keyword in _OPENERS:
            self._stack.append(_Open(head, item.header, [(head, [])]))
        else:
            self._body.append(_SIMPLE[keyword](head))

    def _unread(self, head: Head) -> None:
        """A statement of which nothing is known: what it would have printed is broken, as a print of nothing is."""
        self._has_lost_blocks = True
        if head.keyword == UNKNOWN and self._unknown_ends and self._stack and self._stack[-1].header is None:
            self._finish()
        elif head.keyword == "set_block":
            self._body.append(ast.Set(head.span, head.parts[0], ast.Invalid(head.span)))
        else:
            self._body.append(ast.Print(head.span, ast.Invalid(head.span)))

    def _section(self, head: Head) -> None:
        allowed = ("if",) if head.keyword == "elif" else ("if", "for")
        if not self._stack or self._stack[-1].head.keyword not in allowed:
            self._stray(head)
            return
        last = self._stack[-1].sections[-1][0]
        if last.keyword == "else":
            related, help = Related(last.span, "it is here"), "`else` is allowed only once, at the end"
            self._error("FGC104", f"`{head.keyword}` comes after `else`", head.span, related, help=help)
        self._stack[-1].sections.append((head, []))

    def _end(self, head: Head, closes: Header | None) -> None:
        wanted = _ENDS[head.keyword]
        if closes is not None:
            self._close_header(closes)
            return
        matching = [o for o in self._stack if o.head.keyword == wanted and o.header is None]
        if self._ends_another(wanted, has_own=bool(matching)):
            self._wrong_end(head)
            return
        if not matching:
            if wanted in self._ended_early:
                self._ended_early.remove(wanted)
            else:
                self._stray(head)
            return
        names = [part.text for part in head.parts if isinstance(part, Token)]
        named = [o for o in matching if names and o.head.keyword == "block" and o.head.parts[0].text == names[0]]
        opened = (named or matching)[-1]
        while self._stack[-1] is not opened:
            is_header = self._stack[-1].header is not None
            self._overlap(self._stack[-1], head)
            if is_header:
                self._finish()
            else:
                self._give_up()
        self._check_end_name(head)
        self._finish()

    def _ends_another(self, wanted: str, *, has_own: bool) -> bool:
        """Returns True if an end of the wrong kind is that of the innermost statement, whose own one never comes."""
        if not self._stack:
            return False
        innermost = self._stack[-1]
        is_other = innermost.header is None and innermost.head.keyword != wanted and not innermost.head.is_broken
        if not is_other or wanted in self._ended_early or self._comes(innermost.head.keyword):
            return False
        return not has_own or self._comes(wanted)

    def _comes(self, keyword: str) -> bool:
        """Returns True if the end of an open statement comes before a header ends the statement around it."""
        depth = 0
        for item in islice(self._items, self._at + 1, self._at + _MAX_AHEAD):
            found = item.value.keyword if isinstance(item.value, Head) else ""
            if item.closes is not None or item.header is not None:
                if item.closes is not None and any(open_.header is item.closes for open_ in self._stack):
                    return False
            elif found == keyword:
                depth += 1
            elif _ENDS.get(found) == keyword:
                if depth == 0:
                    return True
                depth -= 1
        return False

    def _wrong_end(self, head: Head) -> None:
        opened = self._stack[-1].head
        name = _NAMES.get(opened.keyword, opened.keyword)
        related = Related(opened.span, "it is opened here")
        help = f"write `end{name}`"
        self._error("FGC104", f"`{head.keyword}` is where `{name}` ends", head.span, related, help=help)
        self._finish()

    def _close_header(self, header: Header) -> None:
        if not any(open_.header is header for open_ in self._stack):
            return  # an overlap was reported where the statement around it ended
        while self._stack[-1].header is not header:
            self._overlap_header(self._stack[-1], header)
            self._ended_early.append(self._stack[-1].head.keyword)
            self._give_up()
        self._finish()

    def _check_end_name(self, head: Head) -> None:
        names = [part for part in head.parts if isinstance(part, Token)]
        opened = self._stack[-1].head
        if names and opened.keyword in ("block", "macro") and names[0].text != opened.parts[0].text:
            message = f"`{head.keyword} {names[0].text}` ends the {opened.keyword} `{opened.parts[0].text}`"
            help = f"write `{head.keyword} {opened.parts[0].text}`, or leave the name out"
            self._error("FGC104", message, head.span, Related(opened.span, "opened here"), help=help)

    def _stray(self, head: Head) -> None:
        related = (Related(self._stack[-1].head.span, "the innermost open statement is this"),) if self._stack else ()
        help = "remove it, or add the statement that it should end"
        self._error("FGC104", f"`{head.keyword}` belongs to no open statement", head.span, *related, help=help)

    def _never_closed(self, open_: _Open) -> None:
        if open_.head.is_broken:
            return
        keyword = _NAMES.get(open_.head.keyword, open_.head.keyword)
        help = f"write `-- end{keyword}` where it ends"
        self._error("FGC103", f"`{keyword}` is never closed by `end{keyword}`", open_.head.span, help=help)

    def _overlap(self, open_: _Open, head: Head) -> None:
        if open_.header is None:
            self._never_closed(open_)
            return
        message = (
            f"block header `[{open_.header.name.text}]` is still open where `{head.keyword}` ends what is around it"
        )
        help = "a header is closed by the next header indented as much or less; inside statements, use `-- block`"
        self._error("FGC105", message, open_.header.name, Related(head.span, "the statement ends here"), help=help)

    def _overlap_header(self, open_: _Open, header: Header) -> None:
        if open_.head.is_broken:
            return
        keyword = _NAMES.get(open_.head.keyword, open_.head.keyword)
        message = f"`{keyword}` is still open where the block `[{header.name.text}]` around it ends"
        help = "close it before the next header that is indented as much or less"
        self._error("FGC105", message, open_.head.span, Related(header.name, "the block begins here"), help=help)

    def _finish(self) -> None:
        open_ = self._stack.pop()
        statement = _unreadable(open_) or _OPENERS[open_.head.keyword](open_)
        self._has_lost_blocks = self._has_lost_blocks or (open_.head.keyword == "block" and open_.head.is_broken)
        if isinstance(statement, ast.Block):
            statement = self._required(statement)
            self._define(statement, open_.header)
        self._body.append(statement)

    def _required(self, block: ast.Block) -> ast.Block:
        """Reports a required block with content of its own, and makes it an ordinary one."""
        for statement in block.body if block.is_required else ():
            if isinstance(statement, ast.Text) and not any(run.text.strip() for run in statement.runs):
                continue
            text = statement.runs[0].span if isinstance(statement, ast.Text) else statement.span
            message = f"block `{block.name}` is required, but has content"
            help = "remove `required` if children need not override it, or remove the content"
            self._error("FGC205", message, block.name_span, Related(text, "the content begins here"), help=help)
            return replace(block, is_required=False)
        return block

    def _give_up(self) -> None:
        """Close a statement that has no end: what follows it is not inside of it, but stands beside it."""
        open_ = self._stack.pop()
        self._has_lost_blocks = True
        statements = _without_end(open_)
        for statement in statements[:1]:
            if isinstance(statement, ast.Block) and statement.span == open_.head.span:
                self._define(statement, open_.header)
        self._body.extend(statements)

    def _define(self, block: ast.Block, header: Header | None) -> None:
        earlier = self.blocks.get(block.name)
        if earlier is not None and (header is None or block.name not in self._header_names):
            related = Related(earlier.name_span, "the first one is here")
            message = f"block `{block.name}` is defined twice in this template"
            self._error("FGC106", message, block.name_span, related, help="rename one of them, or join them")
        self.blocks.setdefault(block.name, block)
        if header is not None:
            self._header_names.add(block.name)


def _unreadable(open_: _Open) -> ast.Statement | None:
    """Returns the effect of a closed statement whose head cannot be read: how its body would have run is not known."""
    head = open_.head
    if not head.is_broken:
        return None
    if head.keyword == "macro":
        return ast.Set(head.span, ast.Name(head.span, head.parts[0].text), ast.Invalid(head.span))
    if head.keyword == "block" and not head.parts[0].text:
        return ast.If(head.span, ((ast.Invalid(head.span), _bodies(open_)[0]),), ())
    return None


def _without_end(open_: _Open) -> list[ast.Statement]:
    """A statement that is never closed as statements one after another; the names that it defines are broken."""
    head = open_.head
    *earlier, last = _bodies(open_)
    match head.keyword:
        case "block" if head.parts[0].text:
            at = next((at for at, statement in enumerate(last) if isinstance(statement, ast.Block)), len(last))
            block = _block(_Open(head, open_.header, [(head, list(last[:at]))]))
            return [block, *last[at:]]
        case "if" if earlier:
            decided = _Open(head, None, open_.sections[:-1])
            return [_if(decided), *last]
        case "for" | "set_block":
            return [_broken(head, head.parts[0]), *last]
        case "with":
            return [*(_broken(head, target) for target, _ in head.parts), *last]
        case "macro":
            names = [head.parts[0].text, *(parameter.name for parameter in head.parts[1])]
            return [*(_broken(head, ast.Name(head.span, name)) for name in names), *last]
        case _:
            return list(last)


def _broken(head: Head, target: ast.Target) -> ast.Set:
    return ast.Set(head.span, target, ast.Invalid(head.span))


def _bodies(open_: _Open) -> list[tuple[ast.Statement, ...]]:
    return [tuple(body) for _, body in open_.sections]


def _if(open_: _Open) -> ast.If:
    branches = [(head.parts[0], tuple(body)) for head, body in open_.sections if head.keyword != "else"]
    otherwise = [tuple(body) for head, body in open_.sections if head.keyword == "else"]
    return ast.If(open_.head.span, tuple(branches), otherwise[0] if otherwise else ())


def _for(open_: _Open) -> ast.For:
    target, iterable, *rest = open_.head.parts
    condition = next((part[1] for part in rest if isinstance(part, tuple)), None)
    is_recursive = any(isinstance(part, Token) for part in rest)
    bodies = _bodies(open_)
    otherwise = bodies[1] if len(bodies) > 1 else ()
    return ast.For(open_.head.span, target, iterable, condition, is_recursive, bodies[0], otherwise)


def _block(open_: _Open) -> ast.Block:
    name, *flags = open_.head.parts
    words = {flag.text for flag in flags}
    is_trimmed = open_.header is not None and open_.header.is_trimmed
    name_span = open_.header.name if open_.header else _token_span(open_.head, name)
    body = _bodies(open_)[0]
    return ast.Block(open_.head.span, name.text, name_span, body, "scoped" in words, "required" in words, is_trimmed)


def _token_span(head: Head, token: Token) -> Span:
    """A name in a statement stands literally in the source: find it behind the keyword."""
    at = head.span.text.find(token.text, len("block"))
    return head.span if at < 0 else head.span.at(at, at + len(token.text))


def _macro(open_: _Open) -> ast.Macro:
    name, parameters = open_.head.parts
    return ast.Macro(open_.head.span, name.text, parameters, _bodies(open_)[0])


def _call_block(open_: _Open) -> ast.CallBlock:
    *parameters, call = open_.head.parts
    return ast.CallBlock(open_.head.span, call, parameters[0] if parameters else (), _bodies(open_)[0])


def _filter_block(open_: _Open) -> ast.FilterBlock:
    return ast.FilterBlock(open_.head.span, open_.head.parts[0], _bodies(open_)[0])


def _set_block(open_: _Open) -> ast.SetBlock:
    target, *filters = open_.head.parts
    return ast.SetBlock(open_.head.span, target, filters[0] if filters else (), _bodies(open_)[0])


def _with(open_: _Open) -> ast.With:
    return ast.With(open_.head.span, tuple(open_.head.parts), _bodies(open_)[0])


def _autoescape(open_: _Open) -> ast.Autoescape:
    return ast.Autoescape(open_.head.span, _bodies(open_)[0])


def _include(head: Head) -> ast.Include:
    flags = head.parts[1:]
    return ast.Include(head.span, head.parts[0], "ignore missing" in flags, False not in flags)


def _import(head: Head) -> ast.Import:
    template, name, *context = head.parts
    return ast.Import(head.span, template, name.text, bool(context and context[0]))


def _from_import(head: Head) -> ast.FromImport:
    names = tuple(part for part in head.parts[1:] if isinstance(part, ast.ImportedName))
    return ast.FromImport(head.span, head.parts[0], names, True in head.parts[1:])


_OPENERS: dict[str, Callable[[_Open], Any]] = {
    "if": _if,
    "for": _for,
    "block": _block,
    "macro": _macro,
    "call_block": _call_block,
    "filter_block": _filter_block,
    "set_block": _set_block,
    "with": _with,
    "autoescape": _autoescape,
}
_SIMPLE: dict[str, Callable[[Head], ast.Statement]] = {
    "extends": lambda head: ast.Extends(head.span, head.parts[0]),
    "include": _include,
    "import": _import,
    "from_import": _from_import,
    "set": lambda head: ast.Set(head.span, head.parts[0], head.parts[1]),
}
