"""How a text came into the document: blocks, parents, includes."""

from .templates import explained, place

BASE = "-- block args\nt:\n    lr: 1\n-- endblock\n"
MIDDLE = "-- extends 'base.yaml'\n[args]\n    == super()\n    wd: 2\n"


def way(path: str, main: str, **others: str) -> list[tuple[str, str | None, str, str]]:
    return [
        (link.kind.value, link.block, link.template, place(link.span).split(" ")[0])
        for link in explained(path, main, **others).links
    ]


def test_text_of_the_configuration_itself() -> None:
    assert way("a", "a: 1\n") == [("written in", None, "main.yaml", "main.yaml:1")]


def test_a_parents_value_is_kept_by_super_of_its_children() -> None:
    main = "-- extends 'middle.yaml'\n[args]\n    == super()\n"
    assert way("t.lr", main, middle=MIDDLE, base=BASE) == [
        ("written in", "args", "base.yaml", "base.yaml:1"),
        ("kept by super() of", "args", "middle.yaml", "middle.yaml:2"),
        ("kept by super() of", "args", "main.yaml", "main.yaml:2"),
        ("extends", None, "middle.yaml", "main.yaml:1"),
        ("extends", None, "base.yaml", "middle.yaml:1"),
    ]


def test_a_childs_value_redefines_the_blocks_of_its_ancestors() -> None:
    main = "-- extends 'middle.yaml'\n"
    assert way("t.wd", main, middle=MIDDLE, base=BASE)[:2] == [
        ("written in", "args", "middle.yaml", "middle.yaml:2"),
        ("redefines", "args", "base.yaml", "base.yaml:1"),
    ]


def test_an_include_is_followed_to_what_is_around_it() -> None:
    main = (
        "-- block outer\n-- if true\n-- include 'part'\n-- endif\n-- endblock\n\n"
        "#--- part ---\n-- extends 'base.yaml'\n"
    )
    assert way("t.lr", main, base=BASE) == [
        ("written in", "args", "base.yaml", "base.yaml:1"),
        ("extends", None, "base.yaml", "main.yaml:8"),
        ("included by", None, "part", "main.yaml:3"),
        ("written in", "outer", "main.yaml", "main.yaml:1"),
    ]


def test_an_included_text_lies_in_the_block_of_the_template_that_has_it() -> None:
    assert way("a", "[x]\n-- include 'part.yaml'\n", part="a: 1\n") == [
        ("written in", None, "part.yaml", "part.yaml:1"),
        ("included by", None, "part.yaml", "main.yaml:2"),
        ("written in", "x", "main.yaml", "main.yaml:1"),
    ]


def test_a_macro_is_followed_to_its_call() -> None:
    main = "-- macro m()\na: 1\n-- endmacro\n-- block outer\n== m()\n-- endblock\n"
    assert way("a", main) == [
        ("written in", None, "main.yaml", "main.yaml:2"),
        ("called by", None, "main.yaml", "main.yaml:5"),
        ("written in", "outer", "main.yaml", "main.yaml:4"),
    ]
