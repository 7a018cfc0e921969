"""Formats explanations as text for users and as JSON for tools."""

import json
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from fgc.explain.explanation import Explanation
from fgc.explain.feeds import Feed, FeedKind
from fgc.explain.inheritance import Link, LinkKind
from fgc.explain.pairs import target_of
from fgc.explain.values import Plain, plain_value, value_text
from fgc.text import Span
from fgc.yaml import AliasNode


class ExplainedPart(Struct, frozen=True):
    """An explanation in one project's configuration; an object of another project has one there too."""

    explanation: Explanation
    project: str
    config: str


def explanation_to_text(parts: Sequence[ExplainedPart]) -> str:
    """Returns, for each part, the value, the line that set it, overridden values, its variables and its way."""
    first, *others = parts
    texts = [_text(first.explanation, "on the command line")]
    for part in others:
        texts.append(f"taken from `{part.explanation.path}` of `{part.project}`, {part.config}:\n\n")
        texts.append(_text(part.explanation, "where it is taken"))
    return "".join(texts)


def _text(explanation: Explanation, giver: str) -> str:
    """`giver` says who gives template variables."""
    sections = [
        [f"{explanation.path} = {value_text(explanation.value)}", *_snippet(explanation.span)],
        _overrides(explanation),
        _feeds(explanation, giver),
        _aliases(explanation),
        _links(explanation),
    ]
    return "\n".join("\n".join(section) for section in sections if section) + "\n"


def explanation_to_json(parts: Sequence[ExplainedPart]) -> str:
    """The documented machine form, version 1."""
    taken = None
    for part in reversed(parts[1:]):
        taken = {"project": part.project, "configuration": part.config, **_form(part.explanation), "taken_from": taken}
    form = {"version": 1, **_form(parts[0].explanation), "taken_from": taken}
    return json.dumps(form, indent=2, ensure_ascii=False)


def _form(explanation: Explanation) -> dict[str, Any]:
    return {
        "path": explanation.path,
        "value": plain_value(explanation.value),
        "text": value_text(explanation.value),
        "place": _place(explanation.span),
        "overrides": [
            {"value": plain_value(item.value), "place": _place(item.origin.span), "note": item.note}
            for item in explanation.overrides
        ],
        "aliases": [{"name": alias.name, "place": _place(alias.origin.span)} for alias in explanation.aliases],
        "way": [
            {"how": link.kind.value, "template": link.template, "block": link.block or None, "place": _place(link.span)}
            for link in explanation.links
        ],
        "fed_by": [_feed_form(feed) for feed in explanation.feeds],
    }


def _feed_form(feed: Feed) -> dict[str, Any]:
    place = _place(feed.span) if feed.span is not None else None
    return {
        "name": feed.name,
        "how": feed.kind.value,
        "value": _plain(feed.value),
        "place": place,
        "depth": feed.depth,
    }


def _snippet(span: Span) -> list[str]:
    """The place, its line, and a caret below."""
    first, last = span.first, span.last
    line = span.source.line(first.line)
    end = last.column if last.line == first.line else len(line) + 1
    lead = "".join("\t" if character == "\t" else " " for character in line[: first.column - 1])
    number = str(first.line)
    gap = " " * len(number)
    carets = "^" * max(end - first.column, 1)
    return [f"{gap}--> {span}", f"{gap} |", f"{number} | {line}", f"{gap} | {lead}{carets}"]


def _overrides(explanation: Explanation) -> list[str]:
    if not explanation.overrides:
        return []
    rows = []
    for item in explanation.overrides:
        note = f" ({item.note})" if item.note else ""
        rows.append(f"  {value_text(item.value)}{note} at {item.origin.span}")
    return ["overrode, first to last:", *rows]


def _aliases(explanation: Explanation) -> list[str]:
    return [_alias(alias) for alias in explanation.aliases]


def _alias(alias: AliasNode) -> str:
    target = target_of(alias)
    anchor = target.anchor if target is not None else None
    where = f", anchored at {anchor.origin.span}" if anchor is not None else ""
    return f"through alias `*{alias.name}` at {alias.origin.span}{where}"


def _links(explanation: Explanation) -> list[str]:
    """Returns the lines about the value's own blocks, and about the includes and calls around them."""
    rows: list[str] = []
    outer: Link | None = None
    for link in explanation.links:
        if link.kind in (LinkKind.INCLUDED, LinkKind.CALLED):
            outer = link
        elif outer is None or link.kind in (LinkKind.WRITTEN, LinkKind.EXTENDS):
            rows.append(_link(link, outer))
    return rows


def _link(link: Link, outer: Link | None) -> str:
    block = f"block `{link.block}` of " if link.block else ""
    if link.kind is LinkKind.WRITTEN and outer is not None:
        verb = "included" if outer.kind is LinkKind.INCLUDED else "called"
        return f"{verb} in {block}`{link.template}` at {outer.span}"
    words = {LinkKind.WRITTEN: "in", LinkKind.KEPT: "  kept by `super()` in"}
    return f"{words.get(link.kind, f'  {link.kind.value}')} {block}`{link.template}` at {link.span}"


def _feeds(explanation: Explanation, giver: str) -> list[str]:
    return ["fed by:", *(_feed(feed, giver) for feed in explanation.feeds)] if explanation.feeds else []


def _feed(feed: Feed, giver: str) -> str:
    start = "  " * (feed.depth + 1) + f"`{feed.name}`"
    place = f" at {feed.span}" if feed.span is not None else ""
    match feed.kind:
        case FeedKind.SET | FeedKind.LOOP:
            line = feed.span.source.line(feed.span.first.line).strip() if feed.span is not None else ""
            verb = "set" if feed.kind is FeedKind.SET else "a loop variable"
            return f"{start} = {_short(feed.value)}, {verb}{place}: {line}"
        case FeedKind.DEFAULT:
            return f"{start} is not given: `{feed.span.text if feed.span is not None else ''}`{place}"
        case FeedKind.MISSING:
            return f"{start} is not given"
        case FeedKind.PARAMETER:
            return f"{start} = {_short(feed.value)}, an argument of the macro{place}"
        case FeedKind.GIVEN:
            return f"{start} = {_short(feed.value)}, given {giver}"
        case FeedKind.SURROUNDINGS:
            return f"{start} = {_short(feed.value)}, from the surroundings"


def _short(value: object) -> str:
    text = json.dumps(str(value), ensure_ascii=False) if isinstance(value, str) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _plain(value: object) -> Plain:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return str(value) if isinstance(value, str) else repr(value)


def _place(span: Span) -> dict[str, Any]:
    first, last = span.first, span.last
    return {
        "file": span.source.display_name,
        "line": first.line,
        "column": first.column,
        "end_line": last.line,
        "end_column": last.column,
        "text": span.source.line(first.line),
    }
