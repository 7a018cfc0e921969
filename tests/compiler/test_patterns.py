"""Patterns are compiled when they are first used, and then are what `re.compile` makes."""

import re

import pytest
from fgc.patterns import regex


def test_a_pattern_is_compiled_when_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = []
    compile_pattern = re.compile
    monkeypatch.setattr("re.compile", lambda *made_of: compiled.append(made_of) or compile_pattern(*made_of))
    words = regex(r"[a-z]+", re.IGNORECASE)
    assert compiled == []
    assert words.findall("Ab, c") == ["Ab", "c"]
    assert words.sub("x", "Ab, c") == "x, x"
    assert (words.pattern, words.flags & re.IGNORECASE) == (r"[a-z]+", re.IGNORECASE)
    before = len(compiled)
    assert words.findall("d") == ["d"] and len(compiled) == before


def test_a_wrong_pattern_is_told_at_its_first_use() -> None:
    wrong = regex("(")
    with pytest.raises(re.error, match="unterminated"):
        wrong.match("")
