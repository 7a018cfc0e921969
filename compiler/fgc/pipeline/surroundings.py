"""What the emitter must know of the disk around a configuration."""

from collections.abc import Callable, Container, Sequence

from msgspec import Struct

from fgc.emit.layout import Layout, black_layout
from fgc.pipeline.signatures import Signatures
from fgc.text import Need, Source


class Surroundings(Struct, frozen=True):
    """Where a program comes from: the template's name for people, and how to read the files that it names.

    `needs`: what the templates had to know of run-time values and of variables from outside; `asked`: the names that
    they read, if these are known. `signatures` know what the callables of the program take.
    """

    template: str
    read: Callable[[str], Source | None]
    component_folders: Sequence[str]
    workspace_root: str = "."
    needs: tuple[Need, ...] = ()
    asked: Container[str] | None = None
    signatures: Signatures | None = None
    layout: Layout = black_layout
