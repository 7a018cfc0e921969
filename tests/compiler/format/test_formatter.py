"""What formatting changes in a file, and what it must not."""

import pytest
from fgc.format import format_source
from fgc.text import Source


def formatted(text: str) -> str:
    outcome = format_source(Source("t.yaml", text))
    assert not outcome.diagnostics
    return outcome.value


@pytest.mark.parametrize(
    "text",
    [
        "a: 1   \n",  # trailing white space of the document
        "a: |\n  x  \n\n\n",
        "{% raw %}{{x}}\n  -- set  x=1\n{% endraw %}\n",
        "{#  a  #}x: 1\n",
        "{{ f(a,\n     b) }}\n",  # spans lines
        "x: '{{ \"a  b\" }}'\n",
        "== a }} and {{ b\n",  # two prints behind one sigil
        "#---- part ----\nx: 1\n",
        "  [header]\nx: 1\n",
        "    ##  indented   comment\n",
        "##     .define: &x\n",
        "##---------\n",
        "# plain  comment\n",
        "-- if x\na: {{ (x) }}\n-- endif\n",  # parentheses stay
        "== \"double\" ~ 'single'\n",
        "",
        "\n\n",
    ],
)
def test_it_is_left_as_it_is(text: str) -> None:
    assert formatted(text) == text


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("--  set   x=1  \n", "-- set x = 1\n"),
        ("--\tset x=1\n", "-- set x = 1\n"),
        ("-- set x=1 ##why\n", "-- set x = 1  ##why\n"),
        ("a: {{x}} ## kept\n", "a: {{ x }} ## kept\n"),
        ("a: {{-x-}}{%+ if x -%}{%endif+%}\n", "a: {{- x -}}{%+ if x -%}{% endif +%}\n"),
        ("=>  a\n<<   set b=1\n>>  set c=1\n", "=> a\n<< set b = 1\n>> set c = 1\n"),
        ("##x\n##  y  \n", "## x\n##  y\n"),
        ("[a]   \nx: 1\n", "[a]\nx: 1\n"),
        ("[a] ## why\nx: 1\n", "[a]  ## why\nx: 1\n"),
        ("x: 1", "x: 1\n"),
    ],
)
def test_spaces_follow_one_rule(text: str, wanted: str) -> None:
    assert formatted(text) == wanted


def test_a_line_end_is_not_added_where_the_document_would_get_one() -> None:
    assert formatted("a: 1\n\n## end") == "a: 1\n\n## end"


class TestIndentation:
    def test_a_statement_stands_one_level_below_what_it_is_in(self) -> None:
        text = "-- if a\n-- if b\n-- set x = 1\n  -- endif\n    -- endif\n"
        assert formatted(text) == "-- if a\n    -- if b\n        -- set x = 1\n    -- endif\n-- endif\n"

    def test_a_section_stands_below_its_opener(self) -> None:
        assert formatted("-- if a\nx: 1\n    -- else\nx: 2\n    -- endif\n") == (
            "-- if a\nx: 1\n-- else\nx: 2\n-- endif\n"
        )

    def test_a_statement_in_a_header_block_stands_below_the_header(self) -> None:
        assert formatted("[a]\n-- set x = 1\n  [b]\n -- set y = 1\n") == (
            "[a]\n    -- set x = 1\n  [b]\n      -- set y = 1\n"
        )

    def test_a_statement_aligned_with_the_document_stays(self) -> None:
        text = "a:\n    -- for x in y\n    - {{ x }}\n    -- endfor\n"
        assert formatted(text) == text

    def test_a_statement_below_document_lines_stays(self) -> None:
        text = "a:\n    b:\n        -- include 'x'\nc: 1\n"
        assert formatted(text) == text

    def test_comments_go_with_the_statement_below_them(self) -> None:
        text = "-- if a\n## one\n## two\n-- set x = 1\n-- endif\n"
        assert formatted(text) == "-- if a\n    ## one\n    ## two\n    -- set x = 1\n-- endif\n"

    def test_statements_between_delimiters_lead_no_other(self) -> None:
        text = "{% if a %}\n  -- set x = 1\n{% endif %}\n"
        assert formatted(text) == text


class TestBlankLines:
    def test_in_a_child_several_between_blocks_become_one(self) -> None:
        text = "-- extends 'p'\n\n\n\n-- block a\nx: 1\n\n\n-- endblock\n\n\n\n\n"
        assert formatted(text) == "-- extends 'p'\n\n-- block a\nx: 1\n\n\n-- endblock\n"

    def test_in_a_root_template_all_stay(self) -> None:
        text = "-- block a\nx: 1\n-- endblock\n\n\n\n-- block b\n-- endblock\n\n\n"
        assert formatted(text) == text

    def test_before_extends_all_stay(self) -> None:
        text = "\n\n\n-- extends 'p'\n"
        assert formatted(text) == text

    def test_white_space_that_ends_a_header_block_stays(self) -> None:
        assert formatted("-- extends 'p'\n[a]\n  ") == "-- extends 'p'\n[a]\n  \n"

    def test_in_a_header_block_all_stay(self) -> None:
        text = "-- extends 'p'\n\n[a]\nx: 1\n\n\n\n[b]\ny: 1\n\n\n"
        assert formatted(text) == text


@pytest.mark.parametrize(
    "text", ["{{ a", "-- if x\n", "-- set x =\n", "-- \n", "[1]\n", "{{ 'a }}\n", "-- else\n", "-- endfoo\n"]
)
def test_a_file_with_syntax_errors_stays_and_says_why(text: str) -> None:
    outcome = format_source(Source("t.yaml", "--  set y=1\n" + text))
    assert outcome.value == "--  set y=1\n" + text
    assert outcome.diagnostics[0].code.startswith("FGC1")


@pytest.mark.parametrize("expression", ["()" * 4_000, "1 + " * 4_000 + "1", "not " * 4_000 + "x"])
def test_an_expression_deeper_than_pythons_stack_is_laid_out(expression: str) -> None:
    assert formatted(f"--  if {expression}\na: 1\n-- endif\n") == f"-- if {expression}\na: 1\n-- endif\n"
