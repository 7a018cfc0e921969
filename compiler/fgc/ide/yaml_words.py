"""Completes YAML: keys, values, tags, callables, anchors."""

import re
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from fgc.ide.calls import OPENS, CallAround, call_around, call_of
from fgc.ide.enclosing import Enclosing, Keys, keys_around
from fgc.ide.marks import MarkKind
from fgc.ide.offers import Completion, Spot
from fgc.ide.python_names import literal_values, names_in_module, parameter_text
from fgc.ide.words import META_KEYS, TAG_TEXTS
from fgc.patterns import regex
from fgc.pipeline.dynamic import ACTIONS, KEYS, TARGET, TYPES, dynamic_arguments
from fgc.workspace.project import META_FILE

_ALIAS = regex(r"(?<![^\s\[{,])\*(?P<word>[\w.-]*)\Z")
_TAG = regex(r"(?<![^\s\[{,])(?P<word>!\w*)\Z")
_CALLABLE = regex(r"(?<![^\s\[{,])!\w+:(?P<before>(?:[\w./-]+:)?)(?P<word>[\w./]*)\Z")
_KEY = regex(r"(?P<word>\w*)\Z")
_VALUE = regex(r"(?P<key>[\w.-]+):\s+(?P<word>(?P<quote>[\"']?)[^\s#\"',\]}]*)\Z")
_INDENT = regex(r"\s*(?:- +)*")


class _Written(Struct, frozen=True):
    """The end of a line of YAML: `text` is the key or value that is written; the rest says in what it stands.

    `flow` is the text in front of the innermost open brace, `given` the keys in it. `is_quoted`: a quote is open.
    """

    text: str
    is_quoted: bool = False
    flow: str | None = None
    given: frozenset[str] = frozenset()


def yaml_words(spot: Spot) -> Iterator[Completion]:
    """Yields what a line of YAML may go on with; nothing in a comment, nor in a text that is no value of a key."""
    written = _written(spot.before)
    if written is None:
        return
    if written.is_quoted:
        found = _VALUE.match(written.text.lstrip())
        yield from () if found is None else _values(spot, written, found)
    elif found := _CALLABLE.search(written.text):
        yield from _callables(spot, found)
    elif found := _TAG.search(written.text):
        yield from spot.told(((f"!{kind}", text) for kind, text in TAG_TEXTS.items()), "tag", found)
    elif found := _ALIAS.search(written.text):
        yield from spot.words(spot.names(MarkKind.ANCHOR), "anchor", found)
    elif found := _VALUE.match(written.text.lstrip()):
        yield from _values(spot, written, found)
    elif found := _KEY.fullmatch(written.text.lstrip()):
        yield from _keys(spot, written, found)


def _written(before: str) -> _Written | None:
    """Reads a line up to its end; None if that lies in a comment, or in a list of flow style in a mapping."""
    indent = _INDENT.match(before)
    assert indent is not None, "the pattern matches every line"
    start, open_at, quote = indent.end(), list[int](), ""
    parts = {-1: start}  # where the entry begins that is written in each open bracket
    given: dict[int, set[str]] = {}
    for at in range(start, len(before)):
        letter, was = before[at], before[at - 1] if at else " "
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'" and was in " \t[{,:":
            quote = letter
        elif letter == "#" and was in " \t":
            return None
        elif letter in "[{":
            open_at.append(at)
            parts[at] = at + 1
        elif letter in "]}" and open_at:
            open_at.pop()
        elif letter == "," and open_at:
            key, colon, _ = before[parts[open_at[-1]] : at].partition(":")
            given.setdefault(open_at[-1], set()).update([key.strip()] if colon else [])
            parts[open_at[-1]] = at + 1
    text = before[parts[open_at[-1] if open_at else -1] :]
    if not open_at or before[open_at[-1]] == "[":
        return _Written(text, bool(quote), None if not open_at else "")
    return _Written(text, bool(quote), before[start : open_at[-1]], frozenset(given.get(open_at[-1], ())))


def _callables(spot: Spot, found: re.Match[str]) -> Iterator[Completion]:
    """Yields packages and modules in front of the colon, and names behind it."""
    files = spot.editor.python_files(spot.path)
    if found["before"]:
        module = found["before"][:-1]
        yield from spot.words(names_in_module(spot.editor, spot.path, module), "callable", found)
        return
    word = found["word"]
    used = sorted({name for name in _callables_in_use(spot) if name.startswith(word)})
    yield from spot.words(used, "callable", found)
    package, dot, _ = word.rpartition(".")
    if word.startswith("."):
        yield from spot.words((f".{name}" for name in files.components()), "module", found)
    elif "/" in word:
        yield from spot.words(_local_files(spot), "module", found)
    elif dot:
        yield from spot.words((f"{package}.{name}" for name in files.modules_in(package)), "module", found)
    else:
        yield from spot.words([*files.packages(), *_local_files(spot)], "module", found)


def _local_files(spot: Spot) -> Iterator[str]:
    """Yields the Python files of the project's folder, and of the folders in it."""
    files = spot.editor.python_files(spot.path)
    for folder in ("", *files.folders()):
        yield from (f"{folder}/{name}".lstrip("/") for name in files.python_files(folder))


def _callables_in_use(spot: Spot) -> Iterator[str]:
    """Yields the callables that templates of the workspace name, but the one that is being written."""
    families = spot.editor.families
    files = families.sources(families.closure(config) for config in families.configurations())
    for file in files or [spot.path]:
        for mark in families.marks(file):
            if mark.kind is MarkKind.CALLABLE and not (file == spot.path and mark.span.end == spot.offset):
                yield mark.name


def _keys(spot: Spot, written: _Written, found: re.Match[str]) -> Iterator[Completion]:
    """Yields the keywords of the call around that it does not have yet, words of options, keys of `meta.yaml`."""
    if Path(spot.path).name == META_FILE and written.flow is None:
        yield from spot.words(META_KEYS, "key", found, ("", ": "))
        return
    keys, call = _around(spot, written)
    for parameter in call.parameters:
        if parameter.name not in call.given:
            text, name = parameter_text(parameter), parameter.name
            yield Completion(name, "keyword", spot.replaced(found["word"]), text, f"{name}: ")
    given = {name for _, name in keys.beside} | written.given
    if _is_entry(keys.around):
        yield from spot.words((key for key in KEYS if key not in given), "key", found, ("", ": "))
    elif _is_list_of_options(keys.around):
        names = (name for name in _options(spot) if name not in given)
        yield from spot.words(names, "option", found, ("", ":"))


def _values(spot: Spot, written: _Written, found: re.Match[str]) -> Iterator[Completion]:
    """Yields the values that an argument may have: truth values, literals, members of an enumeration, null."""
    key = found["key"]
    if Path(spot.path).name == META_FILE:
        yield from spot.words(_of_meta(spot, key), "value", found)
        return
    keys, call = _around(spot, written)
    parameter = next((p for p in call.parameters if p.name == key), None)
    if parameter is not None:
        yield from spot.words(literal_values(spot.editor, spot.path, parameter), "value", found)
    elif _is_entry(keys.around):
        own = keys.around[0].key
        names = [own] if own else _options(spot)
        options = (f'"--{name.replace("_", "-")}"' for name in names)
        words = {"type": TYPES, "action": ACTIONS, "required": ("true", "false"), "names": options}
        yield from spot.words(words.get(key, ()), "value", found)


def _around(spot: Spot, written: _Written) -> tuple[Keys, CallAround]:
    """Returns the keys around what is written, and the call whose arguments they are."""
    indent = _INDENT.match(spot.before)
    assert indent is not None, "the pattern matches every line"
    keys = keys_around(spot.editor, spot.path, spot.offset, indent.end())
    if written.flow is None:
        return keys, call_around(spot.editor, spot.path, keys, indent.end())
    key, colon, behind = written.flow.rpartition(": ")
    value = behind if colon else written.flow
    opens = [*OPENS.finditer(value)]
    around = (Enclosing(key.strip() if colon else "", behind, indent.end()), *keys.around)
    flow = Keys(around, (), keys.block)
    is_direct = bool(opens) and not value[opens[-1].end() :].strip()
    call = call_of(spot.editor, spot.path, opens[-1]["callable"], written.given) if is_direct else CallAround()
    return flow, call


def _is_entry(around: tuple[Enclosing, ...]) -> bool:
    """Returns True inside of an entry of `dynamic_args`."""
    return len(around) == 2 and around[1].key == TARGET


def _is_list_of_options(around: tuple[Enclosing, ...]) -> bool:
    return len(around) == 1 and around[0].key == TARGET


def _options(spot: Spot) -> list[str]:
    """Returns the variables that are given from outside, and the options that templates above declare."""
    selected = spot.editor.whole(spot.path)
    declared = () if selected is None else dynamic_arguments(selected.compilation.graph).value
    return [*dict.fromkeys([*spot.free_names(), *(option.variable for option in declared)])]


def _of_meta(spot: Spot, key: str) -> Iterator[str]:
    """Yields the values that a key of `meta.yaml` may have."""
    project = spot.editor.families.project_of(Path(spot.path))
    if key == "default_config" and project is not None:
        yield from project.configurations
    elif key in ("searchdir", "system_path"):
        folder = Path(spot.path).parent
        yield from sorted(
            found.name for found in folder.iterdir() if found.is_dir() and not found.name.startswith((".", "_"))
        )
