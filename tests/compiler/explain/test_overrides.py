"""What a value overrode, first to last."""

from fgc.explain.values import plain_value

from .templates import explained, place


def history(path: str, main: str, **others: str) -> list[tuple[object, str, str]]:
    return [
        (plain_value(item.value), place(item.origin.span), item.note)
        for item in explained(path, main, **others).overrides
    ]


def test_a_value_without_rivals_overrode_nothing() -> None:
    assert history("a", "a: 1\nb: 2\n") == []


def test_earlier_keys_are_told_in_order() -> None:
    assert history("t.a", "t:\n  a: 1\n  b: 0\n  a: 2\n  a: 3\n") == [
        (1, "main.yaml:2 'a'", ""),
        (2, "main.yaml:4 'a'", ""),
    ]


def test_a_merged_value_is_overridden_wherever_the_merge_stands() -> None:
    text = ".d: &d {a: 1}\nt:\n  a: 2\n  <<: *d\n"
    assert history("t.a", text) == [(1, "main.yaml:1 'a'", "merged from `*d`")]


def test_of_merged_lists_the_earlier_entry_counts() -> None:
    text = ".x: &x {a: 1}\n.y: &y {a: 2}\nt:\n  <<: [*x, *y]\n"
    explanation = explained("t.a", text)
    assert plain_value(explanation.value) == 1
    assert history("t.a", text) == [(2, "main.yaml:2 'a'", "merged from `*y`")]


def test_a_mapping_that_was_replaced_takes_its_values_along() -> None:
    assert history("t.a", "t: {a: 1, a: 2}\nt: {a: 3}\n") == [
        (1, "main.yaml:1 'a'", "in an earlier `t`"),
        (2, "main.yaml:1 'a'", "in an earlier `t`"),
    ]


def test_a_child_overrides_what_super_printed() -> None:
    base = "-- block args\nt:\n    lr: 1\n-- endblock\n"
    main = "-- extends 'base.yaml'\n[args]\n    == super()\n    lr: 2\n"
    assert history("t.lr", main, base=base) == [(1, "base.yaml:3 'lr'", "")]
