"""An argument that a call lacks to the block that would have given it, where a child replaced that block."""

import re

from msgspec import Struct

from fgc.ir import Call
from fgc.patterns import regex
from fgc.text import Span

_BLOCK = regex(r"^\s*(?:\[(?P<header>\w+)!?\]\s*$|(?:--|<<|>>|\{%-?)\s*(?P<end>end)?block\s*(?P<name>\w*))")
_NO_YAML = regex(r"^\s*(#|$|(--|<<|>>|==|=>)\s|\[\w+!?\]\s*$|\{%)")


class ReplacedBlock(Struct, frozen=True):
    """A block's name, where its replaced text gives the argument, and an argument that the child writes instead."""

    name: str
    given: Span
    instead: Span | None


def replaced_block(call: Call, argument: str) -> ReplacedBlock | None:
    """Returns the block of the call's own template in which the argument stands; None if no block has it."""
    source = call.origin.span.source
    written = call.callee.origin.span
    if written.source is not source:
        return None
    start = source.text.rfind("\n", 0, written.start) + 1
    line_end = source.text.find("\n", written.start)
    first = source.text[start:line_end] if line_end >= 0 else ""
    indent = len(first) - len(first.lstrip())
    blocks: list[str] = []
    at = start + len(first) + 1
    for line in source.text[at:].splitlines(keepends=True):
        found = _BLOCK.match(line)
        if found is not None:
            blocks = blocks[:-1] if found["end"] else [*blocks, found["header"] or found["name"]]
        elif not _NO_YAML.match(line):
            if len(line) - len(line.lstrip()) <= indent:
                return None
            key = re.match(rf"\s*({re.escape(argument)})\s*:", line)
            if key is not None and blocks:
                return ReplacedBlock(
                    blocks[-1], Span(source, at + key.start(1), at + key.end(1)), _instead(call, blocks[-1])
                )
        at += len(line)
    return None


def _instead(call: Call, block: str) -> Span | None:
    """The first argument that another template gives in the block."""
    source = call.origin.span.source
    spans = (item.origin.span for item in call.keywords if item.origin.block == block)
    return next((span for span in spans if span.source is not source), None)
