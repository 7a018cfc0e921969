"""libyaml's complaints in words that say what to do, at the author's place."""

import re
from typing import Any

from msgspec import Struct

from fgc.diagnostics import Diagnostic, Edit, Related
from fgc.patterns import regex
from fgc.syntax import CALL_TAGS
from fgc.text import Document, Span

_WORDS = {
    "mapping values are not allowed in this context": (
        "a `:` makes this a mapping, and a mapping cannot begin here",
        "put a text that contains `: ` in quotes, or begin the mapping on a line of its own",
    ),
    "did not find expected key": (
        "a key is expected here",
        "this line is indented differently from its neighbours, or something above it is not closed",
    ),
    "did not find expected ',' or ']'": ("`,` or `]` is missing", "the list that begins above is not closed"),
    "did not find expected ',' or '}'": ("`,` or `}` is missing", "the mapping that begins above is not closed"),
    "did not find expected '-' indicator": (
        "`- ` is missing: the list above continues here with something else",
        "write `- ` before it, or indent it differently from the list",
    ),
    "did not find expected node content": ("a value is missing here", "write a value, or `null`"),
    "did not find expected <document start>": (
        "this does not belong to any target",
        "all targets begin in the same column; indent this line like them",
    ),
    "found character that cannot start any token": ("this character cannot begin a value", "put the text in quotes"),
    "found unknown escape character": ("unknown escape in a double-quoted text", "use single quotes, or `\\\\`"),
    "block sequence entries are not allowed in this context": (
        "a list item cannot begin here",
        "put it on a line of its own",
    ),
}
_BEGINNINGS = {
    "while parsing a block mapping": "the mapping begins here",
    "while parsing a block collection": "the list begins here",
    "while parsing a flow mapping": "the mapping begins here",
    "while parsing a flow sequence": "the list begins here",
}
_NO_SPACE = regex(r"[^\s:#'\"\[\]{}][^\s:#]*(:)[^\s:/]")
_ITEMS = regex(r"^ *(?:- +)*")
_CROWDED_ITEM = regex(r"-[!&*\w\"'\[{]")
_HAS_COLON = regex(r":(?:\s|$)")
_FLOW_KEY = regex(r"[{,][^\S\n]*(\"[^\"\n]*\"|'[^'\n]*'|[\w.-]+)[^\S\n]+$")
_HALF_CALL = regex(rf"(?:^|[:\s-])((?:![a-z]+:[^\S\n]+|(?:{'|'.join(CALL_TAGS)}):)[\w.:@]+)[^\S\n]*$", re.MULTILINE)
_LONGEST = 500  # characters of a line whose end may be a call
_CLOSING = {"[": "]", "{": "}"}
_KEY = regex(r"[\w.]+:(?:\s|$)")
_ALIAS_START = "did not find expected alphabetic or numeric character"


class Complaint(Struct, frozen=True):
    """A syntax error: what libyaml says, where it stopped, where what it was reading begins, the last quoted text."""

    problem: str
    context: str
    at: int
    context_at: int | None
    quoted: tuple[int, int] | None


def syntax_error(document: Document, complaint: Complaint) -> tuple[Diagnostic, int]:
    """The finding of a YAML syntax error, and the offset behind which reading may go on."""
    for explain in (
        _tab,
        _open_quote,
        _crowded_tag,
        _missing_colon,
        _first_key,
        _wrong_indent,
        _nameless_alias,
        _unclosed,
        _stray,
    ):
        found = explain(document, complaint)
        if found is not None:
            return found
    return _plain(document, complaint)


def _at(document: Document, at: int, message: str, help: str | None, *related: Related, code: str = "FGC301") -> Any:
    return Diagnostic.at(document.locate(at, at + 1), code, message, help=help, related=related)


def _tab(document: Document, complaint: Complaint) -> tuple[Diagnostic, int] | None:
    text, at = document.text, complaint.at
    if text[at : at + 1] != "\t" and "tab" not in complaint.problem:
        return None
    return _at(document, at, "a tab is used for indentation", "indent with spaces", code="FGC311"), at


def _open_quote(document: Document, complaint: Complaint) -> tuple[Diagnostic, int] | None:
    """A quote without its end swallows lines, up to the next quote or the end of the text."""
    text, start = document.text, None
    if complaint.problem == "found unexpected end of stream" and complaint.context_at is not None:
        start = complaint.context_at
    elif complaint.quoted is not None:
        first, last = complaint.quoted
        follows = text[last : complaint.at].strip() == "" and "\n" not in text[last : complaint.at]
        start = first if follows and "\n" in text[first:last] else None
    if start is None:
        return None
    return _at(document, start, "this quote is never closed", f"end the text with `{text[start]}`"), start


def _crowded_tag(document: Document, complaint: Complaint) -> tuple[Diagnostic, int] | None:
    text, at = document.text, complaint.at
    if complaint.problem != "did not find expected whitespace or line break":
        return None
    character = text[at : at + 1]
    if character not in tuple(",[]{}"):
        return _at(document, at, "a space is missing after this tag or anchor", None), at
    help = f"write a space between the tag and `{character}`"
    origin = document.locate(at, at + 1)
    span = origin.span
    fix = Edit(Span(span.source, span.start, span.start), " ") if span.text == character else None
    message = f"`{character}` is read as part of the tag before it"
    return Diagnostic.at(origin, "FGC312", message, help=help, fix=fix), at


def _missing_colon(document: Document, complaint: Complaint) -> tuple[Diagnostic, int] | None:
    if complaint.problem != "could not find expected ':'" or complaint.context_at is None:
        return None
    text, start = document.text, complaint.context_at
    end = text.find("\n", start)
    line = text[start : end if end >= 0 else len(text)]
    return _no_colon(document, start, line), start


def _no_colon(document: Document, start: int, line: str) -> Diagnostic:
    if _CROWDED_ITEM.match(line):
        message, help = "a space is missing after this `-`", "write `- ` before an item of a list"
        return Diagnostic.at(document.locate(start, start + 1), "FGC301", message, help=help)
    if crowded := _NO_SPACE.match(line):
        place = start + crowded.start(1)
        origin = document.locate(place, place + 1)
        message, help = "a space is missing after this `:`", f"write `{crowded[0][:-1]} ...`"
        span = origin.span
        fix = Edit(Span(span.source, span.end, span.end), " ") if span.text == ":" else None
        return Diagnostic.at(origin, "FGC301", message, help=help, fix=fix)
    help = "put `:` after the key, or quotes around a text of several lines"
    origin = document.locate(start, start + len(line.rstrip()))
    return Diagnostic.at(origin, "FGC301", "a `:` is missing: this key has no value", help=help)


def _first_key(document: Document, complaint: Complaint) -> tuple[Diagnostic, int] | None:
    """A first key without its colon is a text, which the next line goes on with: its colon is where libyaml stops."""
    is_next_key = complaint.problem == "did not find expected key" and _KEY.match(document.text, complaint.at)
    if complaint.problem != "mapping values are not allowed in this context" and not is_next_key:
        return None
    text, start = document.text, _line(document.text, complaint.at)
    column = len(text[start:]) - len(text[start:].lstrip(" "))
    found = None
    while start > 0:
        end, start = start - 1, _line(text, start - 1)
        line = text[start:end]
        content = _ITEMS.sub("", line, count=1)
        if not content or content.startswith(("#", "!", "&")):
            continue
        if len(line) - len(content) != column or _HAS_COLON.search(content):
            break
        found = (start + column, content) if content[0] not in "\"'[{|>" else None
    return None if found is None else (_no_colon(document, *found), complaint.at)


def _wrong_indent(document: Document, complaint: Complaint) -> tuple[Diagnostic, int] | None:
    """A key that is indented more than its neighbours continues the value before it, until its colon shows."""
    text, at = document.text, complaint.at
    if (
        complaint.problem == "did not find expected key"
        and _KEY.match(text, at)
        and not text[_line(text, at) : at].strip()
    ):
        start, key = _line(text, at), text[_line(text, at) : at + 1]
    elif complaint.problem == "mapping values are not allowed in this context":
        start, key = _line(text, at), text[_line(text, at) : at]
    else:
        return None
    if not key.strip() or ": " in key or key.strip()[0] in "-[{\"'" or start == 0:
        return None
    place = start + len(key) - len(key.lstrip())
    help = "indent it like the keys beside it; a value that is not a mapping has no keys"
    value = _half_call(document.text, start)
    if value is not None and not value[1].startswith("!"):
        origin = document.locate(*value.span(1))
        message = f"`!` is missing: this is the text `{value[1]:.40}`, which calls nothing"
        return Diagnostic.at(origin, "FGC322", message, help=f"write `!{value[1]}`"), at
    related = () if value is None else (Related(document.locate(*value.span(1)).span, "under this value"),)
    return _at(document, place, "this key is indented differently from its neighbours", help, *related), at


def _half_call(text: str, start: int) -> re.Match[str] | None:
    """The value right above a line, if it was to be a call, and its tag is cut off or has no `!`."""
    end = start - 1
    while end > 0 and not _content(text[_line(text, end) : end]):
        end = _line(text, end) - 1
    start = max(_line(text, max(end, 0)), end - _LONGEST)
    return _HALF_CALL.search(text, start, max(end, 0))


def _content(line: str) -> str:
    """A line without white space; a comment has no content."""
    stripped = line.strip()
    return "" if stripped.startswith("#") else stripped


def _line(text: str, at: int) -> int:
    """Returns where the line of an offset begins."""
    return text.rfind("\n", 0, at) + 1


def _nameless_alias(document: Document, complaint: Complaint) -> tuple[Diagnostic, int] | None:
    if complaint.problem != _ALIAS_START or complaint.context_at is None:
        return None
    start = complaint.context_at
    mark = document.text[start : start + 1]
    help = "to write the character, put it in quotes"
    return _at(document, start, f"a name is missing after `{mark}`", help), complaint.at


def _unclosed(document: Document, complaint: Complaint) -> tuple[Diagnostic, int] | None:
    """A flow collection that runs into a later line shows that its end is missing."""
    text, start, at = document.text, complaint.context_at, _visible(document.text, complaint.at)
    is_flow = complaint.problem.startswith(("did not find expected ',' or", "expected ',' or"))
    if not is_flow or start is None:
        return None
    if not text[complaint.at :].strip():
        help = f"close it with `{_CLOSING.get(text[start], '')}`"
        return _at(document, start, f"`{text[start]}` is never closed", help), at
    key = _FLOW_KEY.search(text, start, at)
    if key is not None and text[start] == "{":
        origin = document.locate(*key.span(1))
        help = f"write `{key[1]}: ...`"
        return Diagnostic.at(origin, "FGC301", "a `:` is missing: this key has no value", help=help), at
    if "\n" not in text[start:at]:
        return None
    line = _line(text, at)
    first = line + len(text[line:]) - len(text[line:].lstrip())
    closing = _CLOSING.get(text[start], "")
    related = Related(document.locate(first, first + 1).span, "this is read as part of it")
    return _at(document, start, f"`{text[start]}` is never closed", f"close it with `{closing}`", related), at


def _stray(document: Document, complaint: Complaint) -> tuple[Diagnostic, int] | None:
    """A closing bracket or brace where none is open."""
    at = complaint.at
    character = document.text[at : at + 1]
    if character not in tuple("]}") or not complaint.problem.startswith(
        ("did not find expected key", "did not find expected node")
    ):
        return None
    return _at(document, at, f"`{character}` closes nothing", "remove it, or write what it closes"), at


def _plain(document: Document, complaint: Complaint) -> tuple[Diagnostic, int]:
    message, help = _WORDS.get(complaint.problem, (complaint.problem or "this is not YAML", None))
    at, start = _visible(document.text, complaint.at), complaint.context_at
    related = []
    beginning = _BEGINNINGS.get(complaint.context)
    if start is not None and start != at and start < len(document.text) and beginning:
        related.append(Related(document.locate(start, start + 1).span, beginning))
    return _at(document, at, message, help, *related), at


def _visible(text: str, at: int) -> int:
    """The place itself, or the last character before it that is no white space: ends of lines show nothing."""
    return at if at < len(text) and text[at] != "\n" else max(len(text[:at].rstrip()) - 1, 0)
