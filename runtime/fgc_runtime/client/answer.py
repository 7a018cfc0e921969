"""The pieces of an answer to standard output, as they come; Ctrl-C ends the answer and not the client."""

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from types import FrameType

from fgc_runtime.client.api import ApiError, Pieces, Thought, Usage
from fgc_runtime.terminal import visible


@dataclass(frozen=True, slots=True)
class Said:
    """Holds what was printed; `is_whole` is false where Ctrl-C stopped it, or an error did."""

    text: str
    is_whole: bool
    error: ApiError | None


class _Stopped(Exception):
    """Ctrl-C, while an answer comes."""


def show(pieces: Pieces, *, shows_usage: bool) -> Said:
    """Print an answer and a final newline; what the model thinks before goes to a terminal only, dimmed."""
    said: list[str] = []
    is_thinking = False
    used: Usage | None = None
    started_s, first_s = time.monotonic(), None
    is_whole, problem = False, None
    try:
        with _stoppable(), closing(pieces):
            for piece in pieces:
                if isinstance(piece, Usage):
                    used = piece
                    continue
                first_s = first_s or time.monotonic()
                if isinstance(piece, Thought):
                    is_thinking = _think(piece.text) or is_thinking
                    continue
                if is_thinking:
                    _think("\n\n")
                    is_thinking = False
                said.append(piece)
                sys.stdout.write(visible(piece))
                sys.stdout.flush()
        is_whole = True
    except _Stopped:
        pass
    except ApiError as error:
        problem = error
    if said and not said[-1].endswith("\n"):
        print(flush=True)
    if shows_usage and problem is None:
        print(_usage(used, started_s, first_s), file=sys.stderr)
    return Said("".join(said), is_whole, problem)


def _think(text: str) -> bool:
    """Shows a thought beside standard output; returns whether it was shown."""
    if not sys.stderr.isatty():
        return False
    sys.stderr.write(f"\x1b[2m{visible(text)}\x1b[0m")
    sys.stderr.flush()
    return True


@contextmanager
def _stoppable() -> Iterator[None]:
    """Ctrl-C raises _Stopped here, and closes the connection: the server then stops generating."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise _Stopped

    earlier = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, earlier)


def _usage(used: Usage | None, started_s: float, first_s: float | None) -> str:
    now = time.monotonic()
    if used is None:
        return f"[{now - started_s:.2f} s; the server did not say how many tokens]"
    waited = f", the first text after {first_s - started_s:.2f} s" if first_s is not None else ""
    rate = used.num_generated / max(now - started_s, 1e-9)
    counts = f"{used.num_prompt} tokens read, {used.num_generated} generated"
    return f"[{counts} in {now - started_s:.2f} s: {rate:.0f} tokens/s{waited}]"
