"""Stop sequences: the shown text is cut where the first one begins, however the text comes in pieces."""

import pytest
from fgc_runtime.generate.stops import StopFilter
from hypothesis import given
from hypothesis import strategies as st

_TEXT = st.text("ab<|>", max_size=20)
_STOPS = st.lists(st.text("ab<|>", min_size=1, max_size=4), min_size=1, max_size=3)


def shown(pieces: list[str], stops: list[str]) -> list[str]:
    stop_filter = StopFilter(stops)
    return [*(stop_filter.push(piece) for piece in pieces), stop_filter.flush()]


def test_text_without_a_stop_comes_out_at_once() -> None:
    assert shown(["ab", "c"], []) == ["ab", "c", ""]


def test_a_possible_beginning_is_held_back_until_it_is_none() -> None:
    assert shown(["a<", "|e", "nd"], ["<|end|>"]) == ["a", "", "", "<|end"]


def test_a_stop_across_three_pieces_is_never_shown() -> None:
    assert shown(["a<", "|end", "|>b"], ["<|end|>"]) == ["a", "", "", ""]


def test_the_stop_that_ends_first_counts() -> None:
    assert shown(["xabcd"], ["abcd", "bc"]) == ["xa", ""]


def test_hidden_text_matches_but_is_not_shown() -> None:
    stop_filter = StopFilter(["b</s>"])
    assert [stop_filter.push("a"), stop_filter.push("</s>", is_shown=False)] == ["a", ""]
    assert stop_filter.push("ab") == "a"
    assert (stop_filter.push("</s>", is_shown=False), stop_filter.is_stopped) == ("", True)


def test_an_empty_stop_is_a_caller_mistake() -> None:
    with pytest.raises(ValueError, match="must not be empty"):
        StopFilter([""])


@given(_TEXT, _STOPS, st.data())
def test_pieces_do_not_change_the_text(text: str, stops: list[str], data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert "".join(shown(pieces, stops)) == cut_at_stop(text, stops)


def cut_at_stop(text: str, stops: list[str]) -> str:
    """Letter by letter: stop as soon as the text so far ends in a stop sequence."""
    for end in range(1, len(text) + 1):
        lengths = [len(stop) for stop in stops if text[:end].endswith(stop)]
        if lengths:
            return text[: end - max(lengths)]
    return text


@given(_TEXT, _STOPS)
def test_no_stop_and_no_beginning_of_the_found_stop_is_ever_shown(text: str, stops: list[str]) -> None:
    stop_filter = StopFilter(stops)
    seen = "".join(stop_filter.push(letter) for letter in text)
    assert not any(stop in seen for stop in stops)
    assert text.startswith(seen)


@pytest.mark.parametrize(
    ("stops", "left"), [(["ab"], "z"), (["a<x>b"], "z"), (["b", "ab"], "z"), (["<x>b"], "za"), (["b"], "za")]
)
def test_a_stop_is_found_across_an_invisible_token_and_with_it(stops: list[str], left: str) -> None:
    stop_filter = StopFilter(stops)
    seen = stop_filter.push("za") + stop_filter.push("<x>", is_shown=False) + stop_filter.push("bc")
    assert stop_filter.is_stopped
    assert seen == left


@given(st.lists(st.tuples(st.text("ab<", min_size=1, max_size=3), st.booleans()), max_size=6), _STOPS)
def test_what_is_shown_never_holds_a_stop(pieces: list[tuple[str, bool]], stops: list[str]) -> None:
    stop_filter = StopFilter(stops)
    seen = "".join(stop_filter.push(text, is_shown=is_shown) for text, is_shown in pieces) + stop_filter.flush()
    assert not any(stop in seen for stop in stops)
    assert "".join(text for text, is_shown in pieces if is_shown).startswith(seen)
