"""Keeps how scalars are written around variables from outside: which words YAML reads as themselves there.

A form is the written text of a scalar, shortened, with `{}` where the word stands. Knows nothing of options.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import yaml

from fgc.patterns import regex

MARK = "\ue000"  # a private character: it stands where a text is open
PLACE = "{}"
LOADER: Any = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
_HEADER = regex(r"[|>][+-]?")  # an indicator of indentation needs the lines as they are


def shortened(written: str, *, is_item: bool) -> Iterator[str]:
    """Yields forms that say the same as a written scalar, without what YAML's rules do not look at."""
    if PLACE not in written:
        return
    header, _, body = written.partition("\n")
    if written[:1] in ("|", ">") and _HEADER.fullmatch(header.split(" #")[0].strip()):
        for lines in _lines_in_block(body.rstrip("\n").split("\n")):
            yield "\n".join([header.split(" #")[0].strip(), *(f"  {line}" for line in lines)]) + "\n"
    else:
        yield f"[{written}]" if is_item and written[0] not in "'\"" else written


def _lines_in_block(lines: list[str]) -> Iterator[list[str]]:
    """Yields each line with a place, between lines that stand for all others."""
    indent = min((len(line) - len(line.lstrip(" ")) for line in lines if line.strip()), default=0)
    for number, line in enumerate(lines):
        if PLACE in line:
            before, _, after = line[indent:].partition(PLACE)
            shown = f"{_one_letter(before)}{PLACE}{_one_letter(after.replace(PLACE, 'x'))}"
            yield [*["x"][:number], shown, *["x"][: len(lines) - number - 1]]


def _one_letter(text: str) -> str:
    return "x" if text.strip() else text


def is_text_in(form: str, text: str) -> bool:
    """Returns True if YAML reads a text where it is written in another one as that text."""
    try:
        read, expected = (_read(form.replace(PLACE, word)) for word in (text, MARK))
    except yaml.YAMLError:
        return False
    return bool(read == [expected[0].replace(MARK, text)])


def _read(form: str) -> Any:
    return yaml.load(form if form.startswith("[") else f"- {form}", Loader=LOADER)


def joined(around: Iterable[str], between: Iterable[str]) -> str:
    """Returns texts with what stands between them."""
    return "".join(part for pair in zip(around, [*between, ""], strict=True) for part in pair)
