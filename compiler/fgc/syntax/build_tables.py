"""Grammar files to `tables.json`: run `python -m fgc.syntax.build_tables` after every change of the grammar.

Lark reads the grammar, checks it and computes the LALR tables; the compiler loads the result without Lark.
"""

import json
import re
from pathlib import Path
from typing import Any

GRAMMAR_FOLDER = Path(__file__).parents[3] / "grammar"
TABLES_FILE = Path(__file__).with_name("tables.json")
_STARTS = {"template": ["statement", "tuple"], "tag": ["tag"]}


def build() -> str:
    """The text of `tables.json` for the grammar as it is now."""
    tables: dict[str, Any] = {name: _lalr_tables(name, starts) for name, starts in _STARTS.items()}
    tables["lines"] = dict(re.findall(r"^(\w+):\s*/(.*)/$", _grammar("lines"), re.MULTILINE))
    return json.dumps(tables, separators=(",", ":"), sort_keys=True) + "\n"


def _grammar(name: str) -> str:
    return (GRAMMAR_FOLDER / f"{name}.lark").read_text(encoding="utf-8")


def _lalr_tables(name: str, starts: list[str]) -> dict[str, Any]:
    from lark import Lark
    from lark.lexer import PatternStr
    from lark.parsers.lalr_analysis import Shift

    parser = Lark(_grammar(name), parser="lalr", start=starts, maybe_placeholders=False)
    table = parser.parser.parser._parse_table
    rules = sorted(parser.rules, key=lambda rule: (rule.origin.name, [symbol.name for symbol in rule.expansion]))
    rule_numbers = {rule: number for number, rule in enumerate(rules)}
    order = _canonical_order(table)
    numbers = {state: number for number, state in enumerate(order)}
    states = [
        {
            symbol: numbers[argument] if action is Shift else -1 - rule_numbers[argument]
            for symbol, (action, argument) in sorted(table.states[state].items())
            if action is Shift or argument in rule_numbers
        }
        for state in order
    ]
    return {
        "literals": {t.pattern.value: t.name for t in parser.terminals if isinstance(t.pattern, PatternStr)},
        "patterns": {t.name: t.pattern.to_regexp() for t in parser.terminals if not isinstance(t.pattern, PatternStr)},
        "rules": [_rule(rule) for rule in rules],
        "states": states,
        "starts": {start: numbers[state] for start, state in table.start_states.items()},
        "ends": {start: numbers[state] for start, state in table.end_states.items()},
    }


def _canonical_order(table: Any) -> list[int]:
    """States in the order in which a walk over sorted symbols meets them: Lark's own order varies between runs."""
    from lark.parsers.lalr_analysis import Shift

    order = [table.start_states[start] for start in sorted(table.start_states)]
    for state in order:
        followers = [argument for _, (action, argument) in sorted(table.states[state].items()) if action is Shift]
        order += [follower for follower in dict.fromkeys(followers) if follower not in order]
    return order


def _rule(rule: Any) -> dict[str, Any]:
    origin = str(rule.origin.name)
    is_alias = rule.alias is not None
    return {
        "origin": origin,
        "builder": str(rule.alias) if is_alias else origin,
        "inline": origin.startswith("_"),
        "pass_single": bool(rule.options.expand1) and not is_alias,
        "keep": [not (symbol.is_term and symbol.filter_out) for symbol in rule.expansion],
    }


def main() -> None:
    """Write the tables beside this module."""
    TABLES_FILE.write_text(build(), encoding="utf-8")
    print(f"wrote {TABLES_FILE}")


if __name__ == "__main__":
    main()
