"""libyaml's complaints in words that say what to do, at the author's place."""

from typing import Any

from fgc.diagnostics import Diagnostic, Related
from fgc.text import Document

_WORDS = {
    "mapping values are not allowed in this context": (
        "a `:` makes this a mapping, and a mapping cannot begin here",
        "check the indentation of this line and of the one before; put text that holds `: ` in quotes",
    ),
    "did not find expected key": (
        "a key is expected here",
        "this line is indented otherwise than its neighbours, or what is above it is not closed",
    ),
    "could not find expected ':'": (
        "a `:` is missing: this key has no value",
        "put `:` behind the key, or quotes around a text of several lines",
    ),
    "did not find expected ',' or ']'": ("`,` or `]` is missing", "the list that begins above is not closed"),
    "did not find expected ',' or '}'": ("`,` or `}` is missing", "the mapping that begins above is not closed"),
    "did not find expected '-' indicator": ("`- ` is missing: the list above goes on here with something else", None),
    "did not find expected node content": ("a value is missing here", None),
    "did not find expected <document start>": ("the text goes on after the root value has ended", None),
    "found unexpected end of stream": ("the text ends inside quotes", "close the quotes"),
    "found character that cannot start any token": ("this character cannot begin a value", "put the text in quotes"),
    "found unknown escape character": ("unknown escape in a double-quoted text", "use single quotes, or `\\\\`"),
    "did not find expected alphabetic or numeric character": ("a name is missing behind `&` or `*`", None),
    "did not find expected whitespace or line break": ("a space is missing behind this tag or anchor", None),
    "block sequence entries are not allowed in this context": ("a list item cannot begin here", "begin a new line"),
}


def syntax_error(document: Document, error: Any, at: int, context_at: int | None) -> Diagnostic:
    """The finding of a YAML syntax error: where it shows, and where what it breaks begins."""
    text = document.text
    if (at < len(text) and text[at] == "\t") or "tab" in (error.problem or ""):
        message = "a tab is used for indentation"
        return Diagnostic.at(document.locate(at, at + 1), "FGC311", message, help="indent with spaces")
    problem = error.problem or "this is not YAML"
    message, help = _WORDS.get(problem, (problem, None))
    if at >= len(text) or text[at] == "\n":
        at = _last_visible(text, at)
    related = []
    if context_at is not None and _is_unclosed(document, problem, context_at, at):
        context_at, at = at, context_at
        message = f"`{text[at]}` is never closed"
        help = None
        error.context = "this is read as part of it"
    if context_at is not None and context_at != at and context_at < len(text):
        origin = document.locate(context_at, context_at + 1)
        related.append(Related(origin.span, error.context or "it begins here"))
    return Diagnostic.at(document.locate(at, at + 1), "FGC301", message, help=help, related=related)


def _is_unclosed(document: Document, problem: str, opening: int, at: int) -> bool:
    """Whether a flow collection runs into a later line, which shows that its end is missing."""
    is_flow = problem.startswith(("did not find expected ',' or", "expected ',' or"))
    return is_flow and "\n" in document.text[opening:at]


def _last_visible(text: str, at: int) -> int:
    """The last character before `at` that is no white space: the end of a text shows nothing."""
    return max(len(text[:at].rstrip()) - 1, 0)
