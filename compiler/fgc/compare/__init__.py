"""Compares two configurations value by value, with the places of both."""

from fgc.compare.differences import Change, Difference, Side, compare
from fgc.compare.show import differences_to_json, differences_to_text

__all__ = ["Change", "Difference", "Side", "compare", "differences_to_json", "differences_to_text"]
