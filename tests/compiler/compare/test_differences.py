"""Two configurations to their differences: each once, on the shortest path, with both values."""

from typing import Any

import pytest
from fgc.compare import compare, differences_to_text
from fgc.ir import Graph, Snapshot, snapshot, snapshot_from_json, snapshot_to_json
from fgc.lower import lower
from fgc.text import Document, Origin, Piece, Source, Span
from fgc.yaml import compose
from hypothesis import HealthCheck, given, settings

from tests.compiler.emit.graphs import deep_graph, graphs
from tests.compiler.emit.recording import install

SYMBOLS = install()


def taken(text: str, name: str = "a.yaml") -> Snapshot:
    source = Source(name, text)
    document = Document.of([Piece(text, Origin(Span(source, 0, len(text))), True)], source)
    lowered = lower(compose(document).value, document.locate(0))
    assert not lowered.diagnostics
    return snapshot(lowered.value, lambda source: source.name)


def lines(old: str, new: str) -> list[str]:
    """The differences as text, without the places."""
    found = differences_to_text(compare(taken(old), taken(new, "b.yaml")))
    return [line.partition("  [")[0] for line in found.splitlines()]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("a: 1", "a: 2", ["~ a: 1 -> 2"]),
        ("a: 1", "a: 1.0", ["~ a: 1 -> 1.0"]),
        ("a: 1", "a: true", ["~ a: 1 -> True"]),
        ("a: 0.0", "a: -0.0", ["~ a: 0.0 -> -0.0"]),
        ("a: .nan", "a: .nan", []),
        ("a: 1\nb: 2", "b: 2\na: 1", []),
        ("a: 1", "a: 1\nb: x", ["+ b = 'x'"]),
        ("a: { 1: x }", "a: {}", ["- a[1] = 'x'"]),
        ("a: !partial:m:F { x: 1 }", "a: !partial:m:G { x: 1 }", ["~ a: partial m:F -> partial m:G"]),
        ("a: !partial:m:F { x: 1 }", "a: !factory:m:F { x: 1 }", ["~ a: partial m:F -> factory m:F"]),
        ("a: !call:m:F { x: 1 }", "a: !call:m:G { x: 2, y: 3 }", ["~ a: m:F -> m:G", "~ a.x: 1 -> 2", "+ a.y = 3"]),
        ("a: !call:m:F [ 1 ]", "a: [ 1 ]", ["~ a: m:F(1) -> [1]"]),
        ("a: !var x", "a: !var y", ["~ a: !var x -> !var y"]),
    ],
)
def test_a_difference_is_a_line_with_both_values(old: str, new: str, expected: list[str]) -> None:
    assert lines(old, new) == expected


def test_an_item_that_comes_in_between_moves_no_other() -> None:
    old = "a:\n  - !call:m:F { x: 1 }\n  - !call:m:G { y: 1 }\n"
    new = "a:\n  - !call:m:H {}\n  - !call:m:F { x: 1 }\n  - !call:m:G { y: 2 }\n"
    assert lines(old, new) == ["+ a[0] = m:H()", "~ a[2].y: 1 -> 2"]


def test_items_are_paired_with_what_is_most_like_them() -> None:
    old = "a: [ !call:m:F { x: 1, y: 1 }, !call:m:G { x: 1, y: 1 } ]"
    new = "a: [ !call:m:G { x: 1, y: 2 }, !call:m:K { z: 1 } ]"
    assert lines(old, new) == ["- a[0] = m:F(x=1, y=1)", "~ a[0].y: 1 -> 2", "+ a[1] = m:K(z=1)"]


def test_what_stands_elsewhere_was_moved() -> None:
    assert lines("a: [ !call:m:F {}, 1, 2 ]", "a: [ 1, 2, !call:m:F {} ]") == ["> a[0] is a[2] now"]
    assert lines("a: { x: !call:m:F { y: 1 } }", "b: !call:m:F { y: 1 }\na: {}") == ["> a.x is b now"]


def test_a_value_that_many_share_is_one_difference() -> None:
    text = "rate: &rate %s\na: !call:m:F { x: *rate }\nb: !call:m:G { x: *rate }\n"
    assert lines(text % 1, text % 2) == ["~ rate: 1 -> 2 (in 2 more places)"]


def test_an_object_that_two_share_no_longer_is_a_difference_and_so_is_the_reverse() -> None:
    shared = "a: &a !call:m:F {}\nb: *a\n"
    separate = "a: !call:m:F {}\nb: !call:m:F {}\n"
    assert lines(shared, separate) == ["~ b and a: two objects now; it was one"]
    assert lines(separate, shared) == ["~ b and a: one object now; it was a separate one"]
    factory = separate.replace("call", "factory")
    assert lines(factory, factory) == []


def test_parts_of_an_object_that_is_shared_no_longer_are_no_differences_of_their_own() -> None:
    shared = "a: &a !call:m:F { x: !call:m:G { y: !call:m:H {} } }\nb: *a\n"
    whole = "!call:m:F { x: !call:m:G { y: !call:m:H {} } }"
    assert lines(shared, f"a: {whole}\nb: {whole}\n") == ["~ b and a: two objects now; it was one"]


def test_both_places_are_told() -> None:
    text = differences_to_text(compare(taken("a:\n  x: 1"), taken("a: { x: 2 }", "b.yaml")))
    assert text == "~ a.x: 1 -> 2  [a.yaml:2:6 -> b.yaml:1:9]\n"


def test_on_a_terminal_the_old_is_red_and_the_new_is_green() -> None:
    text = differences_to_text(compare(taken("a: 1"), taken("a: 2")), use_color=True)
    assert "\033[31m1\033[0m -> \033[32m2\033[0m" in text


def test_nesting_has_no_limit() -> None:
    deep = snapshot(deep_graph(3000, ["list", "singleton", "dict"]), lambda source: source.name)
    other = snapshot(deep_graph(3002, ["list", "singleton", "dict"]), lambda source: source.name)
    assert compare(deep, deep) == []
    assert len(compare(deep, other)) == 1


@settings(max_examples=60, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(graph=graphs(SYMBOLS))
def test_what_is_written_to_a_file_is_read_back_as_it_was(graph: Graph) -> None:
    taken = snapshot(graph, lambda source: source.name)
    read = snapshot_from_json(snapshot_to_json(taken))
    assert compare(taken, read) == compare(read, taken) == []
    assert [row.place for row in read.rows] == [row.place for row in taken.rows]


@pytest.mark.parametrize("damage", ["[]", '{"version": 9}', '{"version": 1}', "x"])
def test_what_is_no_graph_is_refused(damage: Any) -> None:
    with pytest.raises(ValueError):
        snapshot_from_json(damage)
