"""Formats samples and their statistics for a terminal, with or without colour."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from fgc_runtime.data.survey import Sample, Survey
from fgc_runtime.terminal import BOLD, CYAN, GREY, PLAIN, RESET

Decode = Callable[[list[int]], str]

_MOST_TOKENS = 400  # of an example that is not shown in full
_MOST_CHARACTERS = 2000
_NUM_BARS = 12
_LONGEST_CHARACTER = 4  # bytes of UTF-8; a byte-level token may be one of them
_TOKEN_COLORS = (PLAIN, CYAN)


def example_lines(
    sample: Sample, number: int, decode: Decode | None, *, use_color: bool, is_full: bool
) -> Iterator[str]:
    """Yields a heading and the documents."""
    yield _painted(_heading(sample, number), BOLD, use_color)
    if not sample.ids:
        text = sample.text or ""
        yield _printable(text if is_full else text[:_MOST_CHARACTERS])
        if len(text) > _MOST_CHARACTERS and not is_full:
            yield f"... {len(text) - _MOST_CHARACTERS:,} more characters (--full)"
        return
    last = len(sample.ids) if is_full else min(len(sample.ids), _MOST_TOKENS)
    first = 0
    for index, length in enumerate(sample.documents):
        if first >= last:
            break
        if len(sample.documents) > 1:
            yield _painted(f"-- document {index}: {length:,} tokens", BOLD, use_color)
        yield _inline(sample, first, min(first + length, last), decode, use_color)
        first += length
    if last < len(sample.ids):
        yield f"... {len(sample.ids) - last:,} more tokens (--full)"


def token_lines(sample: Sample, number: int, decode: Decode | None, *, use_color: bool, is_full: bool) -> Iterator[str]:
    """Yields a heading and a line per token: index, position, id, text; `-` if it is not a label."""
    yield _painted(_heading(sample, number), BOLD, use_color)
    last = len(sample.ids) if is_full else min(len(sample.ids), _MOST_TOKENS)
    if last:
        yield "  place  position      id  label  text"
    for place in range(last):
        token, position, is_label = sample.ids[place], sample.positions[place], sample.is_label[place]
        text = "" if decode is None else repr(decode([token]))
        line = f"{place:>7}{position:>10}{token:>8}  {'yes' if is_label else '-':<5}  {text}"
        yield line if is_label else _painted(line, GREY, use_color)
    if last < len(sample.ids):
        yield f"... {len(sample.ids) - last:,} more tokens (--full)"


def statistics_lines(numbers: Survey) -> Iterator[str]:
    """Yields the statistics as a table, and a bar for each range of lengths."""
    record = numbers.record()
    of_all = f" of {numbers.num_examples:,}" if numbers.num_examples is not None else ""
    yield f"{numbers.num_read:,}{of_all} examples, {numbers.total:,} {numbers.unit}"
    if not numbers.num_read:
        return
    yield f"  {'':<20}" + "".join(f"{name:>9}" for name in record["length"])
    yield _row("per example", record["length"])
    if numbers.documents != numbers.lengths:
        yield _row("per document", record["document_length"])
        yield f"  {'documents per example':<20} {record['documents_per_example']:.1f}"
    if numbers.label_share is not None:
        yield f"  {'labels':<20} {numbers.label_share:.1%} of the tokens"
        yield f"  {'padding':<20} {numbers.padding_share:.1%} where examples are padded to {numbers.padded_to:,} tokens"


def bar_lines(lengths: Sequence[int], *, width: int, block: str) -> Iterator[str]:
    """Yields the lines of a histogram: a range of lengths, its number of examples, a bar."""
    if not lengths:
        return
    low, high = min(lengths), max(lengths)
    step = max(1, -(-(high - low + 1) // _NUM_BARS))
    counts = [0] * ((high - low) // step + 1)
    for length in lengths:
        counts[(length - low) // step] += 1
    for number, count in enumerate(counts):
        first = low + number * step
        name = f"{first:,}" if step == 1 else f"{first:,}-{first + step - 1:,}"
        bar = block * round(count / max(counts) * max(10, width - 30))
        yield f"  {name:>17}{count:>8}  {bar}".rstrip()


def pieces(ids: Sequence[int], decode: Decode) -> Iterator[tuple[int, str]]:
    """Yields texts of whole characters, each with its number of tokens, which is usually 1."""
    group: list[int] = []
    for token in ids:
        group.append(token)
        text = decode(group)
        if "\N{REPLACEMENT CHARACTER}" not in text or len(group) >= _LONGEST_CHARACTER:
            yield len(group), text
            group = []
    if group:
        yield len(group), decode(group)


def _inline(sample: Sample, first: int, last: int, decode: Decode | None, use_color: bool) -> str:
    if decode is None:
        return " ".join(str(token) for token in sample.ids[first:last])
    parts: list[str] = []
    place, is_open = first, False
    for number, (count, text) in enumerate(pieces(sample.ids[first:last], decode)):
        is_label = sample.is_label[place]
        if use_color:
            parts.append(_painted(_printable(text), _TOKEN_COLORS[number % 2] if is_label else GREY, True))
        else:
            parts.append(
                ("⟧" if is_label and is_open else "⟦" if not is_label and not is_open else "") + _printable(text)
            )
        is_open = not is_label
        place += count
    return "".join(parts) + ("⟧" if is_open and not use_color else "")


def _heading(sample: Sample, number: int) -> str:
    if not sample.ids:
        return f"example {number}: {sample.length:,} characters"
    documents = f", {len(sample.documents)} documents" if len(sample.documents) > 1 else ""
    return f"example {number}: {sample.length:,} tokens{documents}, {sum(sample.is_label):,} labels"


def _row(name: str, distribution: dict[str, Any]) -> str:
    return f"  {name:<20}" + "".join(f"{value:>9,.0f}" for value in distribution.values())


def _painted(text: str, color: str, use_color: bool) -> str:
    if not use_color:
        return text
    return "\n".join(f"{color}{line}{RESET}" if line else "" for line in text.split("\n"))


def _printable(text: str) -> str:
    """Returns text without control characters for the terminal."""
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)
