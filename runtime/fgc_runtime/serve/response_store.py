"""Responses that a next one may go on from: in memory, the newest ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fgc_runtime.serve.fields import Json

_MAX_NUM = 1000
_MAX_CHARS = 50_000_000


@dataclass(frozen=True, slots=True)
class Kept:
    """A response as it was sent, and the messages of its conversation."""

    response: Mapping[str, object]
    messages: Sequence[Json]
    num_chars: int


@dataclass(slots=True)
class ResponseStore:
    """Touched by the event loop only."""

    _kept: dict[str, Kept] = field(default_factory=dict)
    _num_chars: int = 0

    def keep(self, name: str, response: Mapping[str, object], messages: Sequence[Json]) -> None:
        """Keeps a response; the oldest ones go when there are too many."""
        kept = Kept(response, messages, sum(len(str(message)) for message in messages))
        self._kept[name] = kept
        self._num_chars += kept.num_chars
        while len(self._kept) > 1 and (len(self._kept) > _MAX_NUM or self._num_chars > _MAX_CHARS):
            self.drop(next(iter(self._kept)))

    def find(self, name: str) -> Kept | None:
        return self._kept.get(name)

    def drop(self, name: str) -> bool:
        """Forgets a response; False if there is none."""
        kept = self._kept.pop(name, None)
        self._num_chars -= 0 if kept is None else kept.num_chars
        return kept is not None
