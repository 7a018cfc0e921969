"""The variables, arguments and defaults that went into a value."""

from collections.abc import Mapping

from .templates import explained, place


def fed(
    path: str, main: str, given: Mapping[str, object] | None = None, **others: str
) -> list[tuple[int, str, str, object, str | None]]:
    return [
        (feed.depth, feed.name, feed.kind.value, feed.value, place(feed.span) if feed.span else None)
        for feed in explained(path, main, given, **others).feeds
    ]


def test_written_text_is_fed_by_nothing() -> None:
    assert fed("a", "-- set x = 1\na: 5\n") == []


def test_a_default_stands_in_for_a_variable_that_is_not_given() -> None:
    text = "a: {{ x | default(10) | toyaml }}\n"
    assert fed("a", text) == [(0, "x", "default", None, "main.yaml:1 'default(10)'")]
    assert fed("a", text, {"x": 3}) == [(0, "x", "command line", 3, None)]


def test_a_set_is_followed_to_what_fed_it() -> None:
    text = "-- set ns = namespace()\n-- set ns.y = x | default(1)\n-- set ns.z = ns.y + 1\na: {{ ns.z }}\n"
    assert fed("a", text) == [
        (0, "ns.z", "set", 2, "main.yaml:3 'set ns.z = ns.y + 1'"),
        (1, "ns.y", "set", 1, "main.yaml:2 'set ns.y = x | default(1)'"),
        (2, "x", "default", None, "main.yaml:2 'default(1)'"),
    ]


def test_of_several_sets_the_one_that_ran_last_before_is_told() -> None:
    base = "-- set ns = namespace()\n-- block meta\n    -- set ns.x = 1\n-- endblock\na: {{ ns.x }}\n-- set ns.x = 3\n"
    main = "-- extends 'base.yaml'\n[meta]\n    == super()\n    -- set ns.x = 2\n"
    assert fed("a", main, base=base) == [(0, "ns.x", "set", 2, "main.yaml:4 'set ns.x = 2'")]


def test_an_attribute_given_to_namespace_is_told_by_its_making() -> None:
    text = "-- set ns = namespace(x=4)\na: {{ ns.x }}\n"
    assert fed("a", text) == [(0, "ns.x", "set", 4, "main.yaml:1 'set ns = namespace(x=4)'")]


def test_a_loop_variable_is_told_by_its_loop() -> None:
    text = "-- set names = ['p', 'q']\n-- for n in names\n{{ n }}: {{ n ~ '!' }}\n-- endfor\n"
    assert fed("q", text) == [
        (0, "n", "loop", "q", "main.yaml:2 'for n in names'"),
        (1, "names", "set", ["p", "q"], "main.yaml:1 \"set names = ['p', 'q']\""),
    ]


def test_a_captured_text_is_told_by_its_set() -> None:
    text = "-- set t | length\nhello\n-- endset\na: {{ t }}\n"
    assert fed("a", text) == [(0, "t", "set", 6, "main.yaml:1 'set t | length'")]


def test_a_captured_text_that_is_printed_keeps_its_own_place() -> None:
    text = "-- set t\na: 1\n-- endset\n== t\n"
    assert place(explained("a", text).span) == "main.yaml:2 'a: 1'"


def test_values_in_one_line_are_fed_apart() -> None:
    text = "t: { a: {{ x | default(1) }}, b: {{ y | default(2) }} }\n"
    assert [feed[1] for feed in fed("t.a", text)] == ["x"]
    assert [feed[1] for feed in fed("t.b", text)] == ["y"]


def test_several_prints_in_one_value_all_feed_it() -> None:
    text = "a: {{ x | default(1) }}-{{ y | default(2) }}\n"
    assert [feed[1] for feed in fed("a", text)] == ["x", "y"]


def test_an_included_template_is_fed_by_the_variables_around_it() -> None:
    part = "b: {{ size }}\n"
    main = "-- set size = 3\n-- include 'part.yaml'\n"
    assert fed("b", main, part=part) == [(0, "size", "set", 3, "main.yaml:1 'set size = 3'")]


def test_an_argument_of_a_macro_is_told_with_what_its_call_was_given() -> None:
    text = "-- macro m(x)\na: {{ x }}\n-- endmacro\n-- set size = 3\n== m(size)\n"
    assert fed("a", text) == [
        (0, "x", "argument", 3, "main.yaml:1 'x'"),
        (0, "size", "set", 3, "main.yaml:4 'set size = 3'"),
    ]


def test_watching_changes_nothing_where_variables_are_out_of_reach() -> None:
    macros = "{% macro m(x) %}{{ x + 1 }}{% endmacro %}"
    main = "-- import 'macros.yaml' as lib\n-- set size = 3\na: {{ lib.m(size) }}\n"
    assert fed("a", main, macros=macros) == [(0, "size", "set", 3, "main.yaml:2 'set size = 3'")]
