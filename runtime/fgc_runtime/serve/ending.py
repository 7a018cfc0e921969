"""The server's end, as requests see it: first no new ones are taken, then those that wait are told."""

import asyncio
from dataclasses import dataclass, field


@dataclass(slots=True)
class Ending:
    """`begin` and `end` may be called by a signal's handler or another thread."""

    loop: asyncio.AbstractEventLoop | None = None
    has_begun: bool = False
    is_over: asyncio.Event = field(default_factory=asyncio.Event)

    def begin(self) -> None:
        """Take no new requests."""
        self.has_begun = True

    def end(self) -> None:
        """Let nobody wait for what will not come."""
        self.has_begun = True
        if self.loop is not None and not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self.is_over.set)
