"""The shutdown of a server: first it refuses new requests, then it fails waiting ones."""

import asyncio
from dataclasses import dataclass, field


@dataclass(slots=True)
class Ending:
    """`begin` and `end` may be called by a signal's handler or another thread."""

    loop: asyncio.AbstractEventLoop | None = None
    has_begun: bool = False
    is_over: asyncio.Event = field(default_factory=asyncio.Event)

    def begin(self) -> None:
        """Refuses new requests."""
        self.has_begun = True

    def end(self) -> None:
        """Fails requests that are still waiting."""
        self.has_begun = True
        if self.loop is not None and not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self.is_over.set)
