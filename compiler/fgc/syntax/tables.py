"""The grammar's tables, loaded once: LALR states and rules, terminals, and the patterns of the line rules."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from msgspec import Struct

_FILE = Path(__file__).with_name("tables.json")


class GrammarRule(Struct, frozen=True):
    """A grammar rule: how many symbols it takes, which of them are kept, and what is built of them."""

    origin: str
    builder: str
    is_inline: bool
    passes_single: bool
    keep: tuple[bool, ...]
    is_transparent: bool  # takes one symbol and passes it on as it is


class Tables(Struct, frozen=True):
    """One LALR grammar. An action is a state to go to, or -1 - number of the rule to reduce by."""

    literals: dict[str, str]
    patterns: dict[str, str]
    rules: tuple[GrammarRule, ...]
    states: tuple[dict[str, int], ...]
    starts: dict[str, int]
    ends: dict[str, int]


@cache
def _raw() -> dict[str, Any]:
    raw: dict[str, Any] = json.loads(_FILE.read_text(encoding="utf-8"))
    return raw


@cache
def load(grammar: str) -> Tables:
    """The tables of `template` or `tag`."""
    raw = _raw()[grammar]
    rules = tuple(
        GrammarRule(
            rule["origin"],
            rule["builder"],
            rule["inline"],
            rule["pass_single"],
            tuple(rule["keep"]),
            is_transparent=rule["pass_single"] and rule["keep"] == [True],
        )
        for rule in raw["rules"]
    )
    return Tables(raw["literals"], raw["patterns"], rules, tuple(raw["states"]), raw["starts"], raw["ends"])


@cache
def line_pattern(name: str) -> re.Pattern[str]:
    """A terminal of lines.lark."""
    return re.compile(_raw()["lines"][name])
