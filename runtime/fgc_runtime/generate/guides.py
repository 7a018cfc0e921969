"""Guides of a text by a grammar, as the engine sees it; `grammar.py` has the real ones."""

from typing import Protocol

from torch import Tensor


class Guide(Protocol):
    """Leads one text."""

    @property
    def error(self) -> str | None:
        """Returns why the guide cannot go on; then it rules out nothing."""

    @property
    def is_whole(self) -> bool:
        """Returns True if the text may end here."""

    @property
    def is_over(self) -> bool:
        """Returns True if nothing may follow."""

    def restrict(self, logits_V: Tensor) -> None:
        """Rules out, in place, each token that may not come."""

    def take(self, token: int) -> None:
        """Hears which token came."""


class Grammar(Protocol):
    """A grammar that any number of texts follow."""

    def guide(self) -> Guide: ...
