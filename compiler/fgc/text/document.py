"""One YAML text in which every character knows where it came from.

The constructor proves the map: segments are contiguous, cover the text, and literal ones equal their source. A map
that does not hold is a bug of this compiler and fails at once.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter

from msgspec import Struct

from fgc.text.deferred import DeferredExpression, Need
from fgc.text.source import Source, Span


class Origin(Struct, frozen=True):
    """Where something was written, how the document got there (innermost first), and in which named block."""

    span: Span
    via: tuple[Span, ...] = ()
    block: str | None = None


class Printed(Struct, frozen=True):
    """The value behind a printed text: whoever reads the text compares what it reads with it."""

    value: object


class Piece(Struct, frozen=True):
    """A run of text from one place.

    `is_literal`: the text equals its source, character by character. Otherwise all of it comes from all of the span
    (a printed expression). `deferred` is the expression that gives this text where the program runs. `printed` is set
    where the text may be read as another value than the one that was printed; `outdented` names the indented print or
    include whose later line begins here, in column 0. `is_broken`: it stands for text that a mistake has kept from
    being; one without text, for any number of lines.
    """

    text: str
    origin: Origin
    is_literal: bool
    deferred: DeferredExpression | None = None
    printed: Printed | None = None
    outdented: Span | None = None
    is_broken: bool = False

    @property
    def is_blank(self) -> bool:
        """Returns True if a piece without text stands for nothing that is open or lost."""
        return not self.text and self.deferred is None and not self.is_broken

    def part(self, start: int, end: int) -> "Piece":
        """The characters from `start` to `end`, with their own origin."""
        if start == 0 and end == len(self.text):
            return self
        if not self.is_literal:
            text = self.text[start:end]
            is_text = self.printed is not None and isinstance(self.printed.value, str)
            value = Printed(text) if is_text else None
            return Piece(text, self.origin, False, printed=value, is_broken=self.is_broken)
        span = self.origin.span.at(start, end)
        return Piece(self.text[start:end], Origin(span, self.origin.via, self.origin.block), True)


class Segment(Struct, frozen=True):
    """The piece that covers the document's characters from `start` to `end`."""

    start: int
    end: int
    piece: Piece


_START = attrgetter("start")


class Document(Struct, frozen=True):
    """A text made of pieces, and `locate` to find where any of it was written.

    `needs` says what could have stayed open until the program runs, and had to be known to make the text. `asked` are
    the names that templates read, with the defaults that they give to variables from outside; None if a mistake may
    have kept some from being read. `broken` are the places of what a mistake
    has kept from being: placeholders of values, and holes, which are empty, of whole lines. `lost_anchors`: anchors of
    text that was lost; `has_lost_text`: it is not known where some would stand;
    `lost_blocks` are the blocks whose lines follow it, with their files.
    """

    text: str
    segments: tuple[Segment, ...]
    entry: Source
    _starts: list[int]
    _deferred: tuple[Segment, ...]
    _printed: tuple[Segment, ...]
    needs: tuple[Need, ...] = ()
    asked: Mapping[str, Sequence[object]] | None = None
    broken: tuple[tuple[int, int], ...] = ()
    lost_anchors: frozenset[str] = frozenset()
    has_lost_text: bool = False
    lost_blocks: frozenset[tuple[str, Source]] = frozenset()

    @staticmethod
    def of(
        pieces: Iterable[Piece],
        entry: Source,
        needs: Iterable[Need] = (),
        asked: Mapping[str, Sequence[object]] | None = None,
        lost_anchors: frozenset[str] = frozenset(),
        has_lost_text: bool = False,
        lost_blocks: frozenset[tuple[str, Source]] = frozenset(),
    ) -> "Document":
        """Join pieces; `entry` is the template to blame for an empty document."""
        segments: list[Segment] = []
        broken: list[tuple[int, int]] = []
        printed: list[Segment] = []
        offset = 0
        for piece in pieces:
            segment = Segment(offset, offset + len(piece.text), piece)
            if piece.is_broken:
                broken.append((segment.start, segment.end))
            if piece.text or piece.deferred is not None:
                segments.append(segment)
                offset += len(piece.text)
            if piece.printed is not None or piece.outdented is not None:
                printed.append(segment)
        text = "".join([segment.piece.text for segment in segments])
        deferred = tuple(segment for segment in segments if segment.piece.deferred is not None)
        starts = [segment.start for segment in segments]
        needed, places = tuple(needs), tuple(broken)
        return Document(
            text,
            tuple(segments),
            entry,
            starts,
            deferred,
            tuple(printed),
            needed,
            asked,
            places,
            lost_anchors,
            has_lost_text,
            lost_blocks,
        )

    def __post_init__(self) -> None:
        end = 0
        for segment in self.segments:
            assert segment.start == end, f"source map has a hole at {end}"
            end = segment.end
            piece = segment.piece
            assert not piece.is_literal or piece.text == piece.origin.span.text, f"source map lies at {segment.start}"
        assert end == len(self.text), "source map does not cover the document"

    @property
    def deferred(self) -> tuple[Segment, ...]:
        """All that is known only where the program runs."""
        return self._deferred

    @property
    def printed(self) -> tuple[Segment, ...]:
        """All printed text, empty ones too, that may be read as something else: `printed` or `outdented` is set."""
        return self._printed

    def deferred_in(self, start: int, end: int) -> list[Segment]:
        """Returns what is known only where the program runs, of a range."""
        found: list[Segment] = []
        if not self._deferred or self._deferred[-1].start < start:
            return found
        for index in range(bisect_left(self._deferred, start, key=_START), len(self._deferred)):
            segment = self._deferred[index]
            if segment.start > end:
                break
            if segment.end <= end:
                found.append(segment)
        return found

    def segment_at(self, offset: int) -> Segment:
        """The segment of the character at `offset`; for the end of the text, the last one."""
        return self.segments[max(bisect_right(self._starts, offset) - 1, 0)]

    def locate(self, start: int, end: int | None = None) -> Origin:
        """Returns where the characters from `start` to `end` were written.

        If they come from several places, the origin is that of the first, up to where it stops.
        """
        if not self.segments:
            return Origin(Span(self.entry, 0, 0))
        segment = self.segments[bisect_right(self._starts, start) - 1 if start > 0 else 0]
        origin = segment.piece.origin
        if not segment.piece.is_literal:
            return origin
        last = segment.end
        stop = last if end is None or end > last else end if end > start else start
        span = origin.span
        moved = span.start - segment.start
        place = Span(span.source, moved + (start if start < last else last), moved + stop)
        return Origin(place, origin.via, origin.block)

    def segments_in(self, start: int, end: int) -> tuple[Segment, ...]:
        """The segments that a range of the text has characters of, whole."""
        first = max(bisect_right(self._starts, start) - 1, 0)
        last = bisect_right(self._starts, max(end - 1, start))
        return self.segments[first:last]

    def pieces(self, start: int, end: int) -> list[Piece]:
        """The pieces of a range of the text, cut to it."""
        found: list[Piece] = []
        index = max(bisect_right(self._starts, start) - 1, 0)
        while index < len(self.segments) and self.segments[index].start < end:
            segment = self.segments[index]
            index += 1
            piece = segment.piece.part(max(start, segment.start) - segment.start, min(end, segment.end) - segment.start)
            if piece.text:
                found.append(piece)
        return found
