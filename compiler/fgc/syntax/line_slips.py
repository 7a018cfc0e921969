"""Lines that are text and were meant as a statement or a block header: one sign is missing, wrong or too much.

A line counts only where its neighbours show that it is no text: a line of a block scalar, what looks like a part of a
list over several lines, and an item among items are left alone.
"""

import re
from bisect import bisect_right
from functools import lru_cache

from msgspec import Struct

from fgc.patterns import regex
from fgc.text import Source

_WORDS = (
    r"(?P<word>if|elif)\s+\S.*|(?P<for>for)\s++[\w\s,()]+\sin\s.+|(?P<set>set)\s+\w[\w.,\s()]*=.*"
    r"|(?P<other>include|extends)\s+[\"'(\[].*|(?P<import>import|from)\s.+\s(?:as|import)\s.+|(?P<macro>macro)\s+\w+\(.*"
    r"|(?P<paired>block|filter|call|with)\s+\w.*|(?P<alone>else|end\w+)(?:\s+\w+)?\s*+:?\s*"
)
# a sigil and a statement's word without the blank between them; the rest must look like that statement's
GLUED = regex(rf"\s*+(?P<sigil>--|<<|>>)(?P<rest>{_WORDS})")
# another dash, or one of them too few, in front of a statement
_DASHED = regex(rf"\s*+(?P<sigil>-|---|[\u2010-\u2015\u2212]-?|-[\u2010-\u2015\u2212])\s(?P<rest>{_WORDS})")
_SUPER = regex(r"\s*+(?P<sigil>=?)(?P<rest>\s*+super\(\)\s*)")
_HEADER = regex(
    r"(?P<indent>\s*+)(?P<open>[\[({<]?)\s*+(?P<name>[^\W\d]\w*(?:-\w+)*)(?P<trim>!?)\s*+(?P<close>[\])}>]?)\s*+"
)
ENDS = regex(r"end(?:if|for|block|macro|call|filter|set|with|autoescape|raw)\b")
_GOES_ON = regex(r"(?:[:,\[{(|>&?-]|[|>][-+0-9]*)\s*\Z")  # a line behind which a value stands on the next one
_OPENS_TEXT = regex(r"(?:^|\s)[|>][-+0-9]*\s*(?:#.*)?$")
_NOT_OF_YAML = regex(r"\s*(?:(?:--|<<|>>|==|=>)\s|##|$)")  # statements, comments and empty lines
_IS_STATEMENT = regex(r"\s*(?:--|<<|>>|==|=>)\s")
_DELIMITER = regex(r"\{[{%]")
_BEFORE_KEY = regex(r"\s*(?:-\s+)*(?![|>])")
_TEMPLATE = regex(r"^[^\S\n]*(?:(?:--|<<|>>)\s+(?:extends|block)\b|\[\w+\][^\S\n]*$)", re.MULTILINE)
_LONGEST = 200  # characters of a line that may be a slip
_NEAR = 4_000  # characters around a line that are looked at
_RECENT = 100  # lines in which a list over several lines may have begun


class Slip(Struct, frozen=True):
    """A line that was meant as another one: what to write at `start` to `end` of it, and what to say of it.

    `rest` is where the statement or the name begins and ends; `kind`: what the line was meant to be.
    """

    kind: str
    message: str
    start: int
    end: int
    better: str
    rest: tuple[int, int]

    @property
    def help(self) -> str:
        """Returns what to write, and how to say that it is a text."""
        if self.kind == "header":
            return f"write `{self.better}` alone on the line; if it is a text, put it in quotes"
        return "if it is a text, put it in quotes"


def is_meant(glued: re.Match[str], text: str, start: int) -> bool:
    """Returns True if a line such as `--filter lower`, at `start` of a text, is no option of a command."""
    if glued["alone"]:
        return glued["alone"] == "else" or ENDS.fullmatch(glued["alone"]) is not None
    if glued["paired"]:
        return _has_end(glued["paired"], text)
    if not (glued["set"] or glued["other"]):
        return True
    if text[max(start - 2, 0) : start] == "\\\n" or glued["rest"].endswith("\\"):
        return False  # a command of a shell, over several lines
    if not _is_in_text(text, start):
        return True
    is_name = not re.search(r"[*?]", glued["rest"]) if glued["other"] else _is_wanted(_name_set(glued), text)
    return is_name and _is_statement(glued["rest"])


def _name_set(match: re.Match[str]) -> str:
    return match["rest"].split(maxsplit=1)[1].partition("=")[0].strip()


@lru_cache(maxsize=64)
def _has_end(word: str, text: str) -> bool:
    return re.search(rf"(?:--|<<|>>|\{{%)[+-]?\s*+end{word}\b", text) is not None


def slip_of(text: str, start: int, end: int, line: str) -> Slip | None:
    """Returns the slip in the line of a text from `start` to `end`, which is `line` with its comment cut."""
    if len(line) > _LONGEST:
        return None
    found = dashed(line, text, start)
    if found is None and _is_template(text):
        found = lone_super(line) or header(line, text[max(start - _NEAR, 0) : start], text[end : end + _NEAR])
    return None if found is None or _is_in_text(text, start) else found


@lru_cache(maxsize=8)
def _is_template(text: str) -> bool:
    """Returns True if a text extends another one, or has blocks."""
    return _TEMPLATE.search(text) is not None


def dashed(line: str, text: str, start: int) -> Slip | None:
    """The slip of a statement with other dashes than two: `- set x = 1`, and `\u2014 set x = 1`."""
    match = _DASHED.fullmatch(line)
    if match is None or (match["sigil"] == "-" and not _is_no_item(match, text, start)):
        return None
    if match["alone"] not in (None, "else") and not ENDS.match(match["alone"]):
        return None
    if (match["set"] or match["other"]) and not _is_statement(match["rest"]):
        return None
    sigil, word = match["sigil"], match["rest"].split(maxsplit=1)[0].rstrip(":")
    return Slip(
        "statement", f"`-- {word}` is meant here, not `{sigil} {word}`", *match.span("sigil"), "--", match.span("rest")
    )


def _is_statement(rest: str) -> bool:
    """Returns True if the grammar takes a whole statement: `set x = 1`, and not `set x = 1 at first`."""
    from fgc.syntax.parser import parse  # which reads lines first

    return not parse(Source("", f"-- {rest}")).diagnostics


def _is_no_item(match: re.Match[str], text: str, start: int) -> bool:
    """Returns True if a list item such as `- block x` is a statement: it names a template, sets, or is lacked."""
    if match["set"]:
        return not _is_among_items(match, text, start) or _is_wanted(_name_set(match), text)
    if match["other"]:
        return True
    if match["import"]:
        return re.match(r"(?:import|from)\s+[\"']", match["rest"]) is not None
    word = match["word"] or match["for"] or match["macro"] or match["paired"] or match["alone"]
    if word in ("elif", "else"):
        return False
    kind = word.removeprefix("end").rstrip(": ")
    surplus = _count(kind, text) - _count(f"end{kind}", text)
    return surplus > 0 if word.startswith("end") else surplus < 0


def _is_among_items(match: re.Match[str], text: str, start: int) -> bool:
    """Returns True if a line is an item below its key, or below another item."""
    above = reversed(text[max(start - _NEAR, 0) : start].split("\n"))
    line = next((line for line in above if not _NOT_OF_YAML.match(line) and not _DASHED.fullmatch(line)), "")
    indent = match.start("sigil")
    return line.startswith("- ", indent) or (line.rstrip().endswith(":") and len(line) - len(line.lstrip()) <= indent)


@lru_cache(maxsize=64)
def _is_wanted(name: str, text: str) -> bool:
    """Returns True if a statement or a print of a text names a variable."""
    word = re.compile(rf"\b{re.escape(name)}\b")
    return any(
        _IS_STATEMENT.match(line) is not None or -1 < _first_delimiter(line) < found[-1].start()
        for line in text.split("\n")
        if name in line and (found := [*word.finditer(line)])
    )


def _first_delimiter(line: str) -> int:
    """Returns where a line has its first `{{` or `{%`, or -1."""
    found = _DELIMITER.search(line)
    return -1 if found is None else found.start()


@lru_cache(maxsize=64)
def _count(word: str, text: str) -> int:
    """Counts the statements of a keyword; a `set` with `=` has no end, and a header no `block`."""
    return len(re.findall(rf"(?:^[^\S\n]*+(?:--|<<|>>)\s+|\{{%[-+]?\s*+){word}\b", text, re.MULTILINE))


def lone_super(line: str) -> Slip | None:
    """The slip of a `super()` without its sigil, or with half of it."""
    match = _SUPER.fullmatch(line)
    if match is None:
        return None
    start = match.end() - len(match["rest"].lstrip()) if not match["sigil"] else match.start("sigil")
    better = "==" if match["sigil"] else "== "
    what = "a `=` is missing" if match["sigil"] else "`== ` is missing"
    return Slip(
        "print",
        f"{what}: `== super()` prints the block of the parent",
        start,
        start + len(match["sigil"]),
        better,
        match.span("rest"),
    )


def header(line: str, before: str, after: str) -> Slip | None:
    """The slip of a block header with a bracket that is missing or of another kind, or a hyphen in its name."""
    match = _HEADER.fullmatch(line)
    if match is None or _is_value(match, before, after):
        return None
    better = f"[{match['name'].replace('-', '_')}{match['trim']}]"
    start = len(match["indent"])
    stop = len(line.rstrip())
    message = f"`{better}` is meant here, not `{line.strip()}`"
    return Slip("header", message, start, stop, better, match.span("name"))


def _is_value(match: re.Match[str], before: str, after: str) -> bool:
    """Returns True if a line is no header, or may be a part of a list or a mapping over several lines."""
    opening, closing = match["open"], match["close"]
    if "[" not in opening and "]" not in closing:
        return True
    above = next((line for line in reversed(before.splitlines()) if line.strip()), "")
    below = next((line.strip() for line in after.splitlines() if line.strip()), "")
    if _GOES_ON.search(above[-50:]):
        return True
    if opening == "[" and not closing:
        return below.startswith((",", "]")) or ("]" in below.partition("[")[0])
    if not opening:
        recent = re.split(r"\n[^\S\n]*\[\w+[\])}]?[^\S\n]*\n", "\n".join(before.splitlines()[-_RECENT:]))[-1]
        return recent.count("[") > recent.count("]")
    return opening == "[" and closing == "]" and match["indent"] != ""


def _is_in_text(text: str, at: int) -> bool:
    """Returns True if a line that begins at an offset stands in a block scalar."""
    starts, ends = _block_scalars(text)
    index = bisect_right(starts, at) - 1
    return index >= 0 and at < ends[index]


@lru_cache(maxsize=8)
def _block_scalars(text: str) -> tuple[list[int], list[int]]:
    """Returns where the block scalars of a text begin and end; statements between their lines end none."""
    starts: list[int] = []
    ends: list[int] = []
    limit = at = 0  # lines of a block scalar are indented more than its key
    for line in text.split("\n"):
        indent = len(line) - len(line.lstrip())
        if not _NOT_OF_YAML.match(line) and (len(starts) == len(ends) or indent <= limit):
            if len(starts) > len(ends):
                ends.append(at)
            if _OPENS_TEXT.search(line) and (before := _BEFORE_KEY.match(line)):
                limit = before.end()
                starts.append(at + len(line) + 1)
        at += len(line) + 1
    return starts, [*ends, at] if len(starts) > len(ends) else ends
