"""Random edits of a text as people and programs make them, and the questions of an editor at a random place."""

import random
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pygls.uris import from_fs_path

from tests.compiler.lsp.inside import InsideClient

_TOKEN = re.compile(r"\w+|[^\w\s]+|[ \t]+")
_LINE_END = re.compile(r"\r\n|\n|\r")
_BITS = (
    *("-- ", "<< ", ">> ", "== ", "=> ", "##", "[", "]", "[x]", "[y!]", "{{", "}}", "{%", "%}", "{#", "#}", "super()"),
    *("!partial:", "!call:", "!meta:", "@", "&a", "*a", '"', "'", "|", ">", ":", ": ", "- ", ",", "{", "}", "?", "%"),
    *("\n", "\t", "    ", "\r\n", "\r", "\x0b", "\x0c", "\x85", "\u2028", "\0", "\ufeff", "\x1b", "\u200d"),
    *("𝛼", "é", "e\u0301", "😀", "\ud835", "\udefc", "ß", "\u202e"),
)
_HALVES = (
    *("-- extends ", '-- extends "', "-- block ", "-- endblock", "-- if x", "-- for a in", "-- set ns.", "-- set a ="),
    *("-- macro m(", "-- from 'x' import", "-- include '", "{{ ns.", "{{ a | ", "{{ super().", "{% if", "[optimi"),
    *("x: !partial:torch.optim:", "x: !call:torch.nn:Linear", "    lr: ", "<<: *", "  - !", "#-- -- x", "a: &", "a: *"),
    *("    == super(", "-- filter", "-- call", "x: !call:dict\n    a: {{", "'''", "%TAG ! x", "--- ", "..."),
)


def edited(chance: random.Random, text: str, before: Sequence[str], others: Sequence[str]) -> str:
    """Returns a text after one edit. `before` are its earlier texts, `others` the texts of other files."""
    edit = chance.choice(_EDITS)
    if edit is _undo:
        return chance.choice(before) if before else text
    if edit is _replace:
        return chance.choice(["", "\n", chance.choice(_BITS) * chance.randrange(1, 50), *others])
    return edit(chance, text)


def ask_all(client: InsideClient, path: Path, chance: random.Random, share: float) -> None:
    """Asks a part of all questions at a random place of a file."""
    uri = from_fs_path(str(path)) or ""
    lines = _LINE_END.split(client.text(uri))
    line = chance.randrange(len(lines))
    units = len(lines[line].encode("utf-16-le", "surrogatepass")) // 2
    place = {"line": line, "character": _whole(lines[line], chance.randrange(units + 1))}
    here: dict[str, Any] = {"textDocument": {"uri": uri}}
    there = {**here, "position": place}
    whole = {**here, "range": {"start": {"line": 0, "character": 0}, "end": {"line": len(lines), "character": 0}}}
    moved = {"oldUri": uri, "newUri": f"{uri.rpartition('/')[0]}/moved/other.yaml"}
    asked: list[tuple[str, Any]] = [
        ("hover", there),
        ("definition", there),
        ("references", {**there, "context": {"includeDeclaration": chance.random() < 0.5}}),
        ("implementation", there),
        ("documentHighlight", there),
        ("prepareRename", there),
        ("rename", {**there, "newName": chance.choice(["other", "other.yaml", "", "a b", "𝛼", "lr"])}),
        ("completion", there),
        ("documentSymbol", here),
        ("foldingRange", here),
        ("selectionRange", {**here, "positions": [place]}),
        ("documentLink", here),
        ("semanticTokens/full", here),
        ("inlayHint", whole),
        ("codeLens", here),
        ("formatting", {**here, "options": {"tabSize": 4, "insertSpaces": True}}),
        ("codeAction", {**whole, "context": {"diagnostics": []}}),
        ("prepareCallHierarchy", there),
        ("workspace/symbol", {"query": chance.choice(["", "opt", "𝛼", "*", "lr"])}),
        ("workspace/willRenameFiles", {"files": [moved]}),
        ("workspace/executeCommand", {"command": "fgc.view", "arguments": [uri, chance.choice(_VIEWS)]}),
    ]
    for method, params in asked:
        if chance.random() < share:
            answer = client.ask(method if method.startswith("workspace/") else f"textDocument/{method}", params)
            if method == "prepareCallHierarchy":
                for item in answer or ():
                    client.ask("callHierarchy/incomingCalls", {"item": item})
                    client.ask("callHierarchy/outgoingCalls", {"item": item})


_VIEWS = ("text", "graph", "program")


def _whole(line: str, character: int) -> int:
    """Returns a character of a line that does not lie within a pair of UTF-16 units."""
    units = line.encode("utf-16-le", "surrogatepass")[: 2 * character]
    return character if not units or not 0xD8 <= units[-1] < 0xDC else character - 1


def _place(chance: random.Random, text: str) -> int:
    return chance.randrange(len(text) + 1)


def _insert(chance: random.Random, text: str) -> str:
    at = _place(chance, text)
    return text[:at] + chance.choice(_BITS) + text[at:]


def _cut(chance: random.Random, text: str) -> str:
    at = _place(chance, text)
    return text[:at] + text[at + chance.choice((1, 1, 2, 5, 40, 400)) :]


def _delete_token(chance: random.Random, text: str) -> str:
    found = _TOKEN.search(text, _place(chance, text))
    return text if found is None else text[: found.start()] + text[found.end() :]


def _type_token(chance: random.Random, text: str) -> str:
    """Cuts a token short, as while it is typed."""
    found = _TOKEN.search(text, _place(chance, text))
    return text if found is None else text[: chance.randrange(found.start(), found.end())] + text[found.end() :]


def _lines(change: Callable[[random.Random, list[str], int], None]) -> Callable[[random.Random, str], str]:
    def edit(chance: random.Random, text: str) -> str:
        lines = text.split("\n")
        change(chance, lines, chance.randrange(len(lines)))
        return "\n".join(lines)

    return edit


def _double(chance: random.Random, lines: list[str], at: int) -> None:
    lines.insert(at, lines[at])


def _delete_line(chance: random.Random, lines: list[str], at: int) -> None:
    del lines[at : at + chance.choice((1, 1, 3, 20))]


def _swap(chance: random.Random, lines: list[str], at: int) -> None:
    other = chance.randrange(len(lines))
    lines[at], lines[other] = lines[other], lines[at]


def _indent(chance: random.Random, lines: list[str], at: int) -> None:
    lines[at] = chance.choice((" ", "    ", "\t")) + lines[at] if chance.random() < 0.6 else lines[at].lstrip()


def _half(chance: random.Random, lines: list[str], at: int) -> None:
    lines.insert(at, " " * chance.choice((0, 0, 4, 8)) + chance.choice(_HALVES))


def _join(chance: random.Random, lines: list[str], at: int) -> None:
    lines[at : at + 2] = ["".join(lines[at : at + 2])]


def _half_a_character(chance: random.Random, text: str) -> str:
    """Cuts in the middle of a pair of UTF-16 units, or puts one there to cut."""
    pairs = [at for at, character in enumerate(text) if ord(character) > 0xFFFF]
    at = chance.choice(pairs) if pairs else _place(chance, text)
    units = (text[at : at + 1] if pairs else "𝛼").encode("utf-16-le")
    return text[:at] + units[:2].decode("utf-16-le", "surrogatepass") + text[at + len(pairs[:1]) :]


def _other_ends(chance: random.Random, text: str) -> str:
    normal = text.replace("\r\n", "\n").replace("\r", "\n")
    return normal.replace("\n", chance.choice(("\r\n", "\r\n", "\r", "\n")))


def _undo(chance: random.Random, text: str) -> str:
    return text


def _replace(chance: random.Random, text: str) -> str:
    return text


_EDITS: tuple[Callable[[random.Random, str], str], ...] = (
    *(_insert, _insert, _cut, _delete_token, _delete_token, _type_token, _type_token, _half_a_character, _other_ends),
    *map(_lines, (_double, _delete_line, _swap, _indent, _half, _half, _join)),
    *(_undo, _undo, _replace),
)
