import random
from itertools import pairwise
from pathlib import Path

from fgc import ide
from fgc.text import Span

from tests.compiler.ide.test_navigation import BASE, PROJECT, SMALL
from tests.compiler.ide.tree import FILES, make_tree, place


def test_symbols_nest_as_blocks_do(tmp_path: Path) -> None:
    editor = make_tree(tmp_path)
    found = ide.symbols(editor, str(tmp_path / BASE))
    assert [(symbol.kind, symbol.name) for symbol in found] == [
        ("block", "globals"),
        ("block", "optimizer"),
        ("key", "main"),
    ]
    assert [symbol.name for symbol in found[1].children] == ["optimizer", "optimizer_args"]


def test_workspace_symbols_match_letters_in_order(tmp_path: Path) -> None:
    editor = make_tree(tmp_path)
    assert {symbol.name for symbol in ide.workspace_symbols(editor, "opar")} == {"optimizer_args"}


def test_foldings_and_selections_and_links(tmp_path: Path) -> None:
    editor = make_tree(tmp_path)
    assert (5, 11) in ide.foldings(editor, str(tmp_path / BASE))
    grown = ide.selections(editor, *place(editor, tmp_path / BASE, "{{ ns.l|r"))
    assert [span.text for span in grown][:2] == ["lr", "{{ ns.lr }}"] and grown[-1].text == FILES[BASE]
    assert [(span.text, path) for span, path in ide.links(editor, str(tmp_path / SMALL))] == [
        ("project.yaml", str(tmp_path / PROJECT))
    ]


def test_tokens_are_in_order_and_apart(tmp_path: Path) -> None:
    editor = make_tree(tmp_path)
    found = ide.tokens(editor, str(tmp_path / PROJECT))
    assert all(one.span.end <= other.span.start for one, other in pairwise(found))
    kinds = {token.span.text: (token.kind, token.modifiers) for token in found}
    assert kinds["globals"] == ("class", ("definition", "overrides")) and kinds["extends"] == ("keyword", ())


def test_names_in_an_expression_deeper_than_pythons_stack_are_found(tmp_path: Path) -> None:
    editor = make_tree(tmp_path)
    path = tmp_path / "deep.yaml"
    editor.open(path, f"a: {{{{ first{'()' * 4_000} }}}}\nb: {{{{ {'1 + ' * 4_000}last }}}}\n")
    assert [token.span.text for token in ide.tokens(editor, str(path))] == ["first", "last"]


def test_any_edit_has_an_answer_whose_places_lie_in_the_text(tmp_path: Path) -> None:
    """Random edits, among them astral characters, tabs, and halves of statements."""
    editor = make_tree(tmp_path)
    chance = random.Random(7)
    bits = [
        "-- ",
        "[",
        "]",
        "{{",
        "}}",
        "!partial:",
        "&a",
        "*a",
        '"',
        "'",
        "\n",
        "\t",
        "𝛼",
        "é",
        "    ",
        ":",
        "super()",
        "#",
    ]
    for _ in range(150):
        file = tmp_path / chance.choice((SMALL, PROJECT, BASE))
        text = editor.source(file).text if chance.random() < 0.7 else FILES[str(file.relative_to(tmp_path))]
        start = chance.randrange(len(text) + 1)
        end = min(len(text), start + chance.choice((0, 0, 1, 5)))
        text = text[:start] + chance.choice(bits) + text[end:]
        editor.open(file, text)
        path, offset = str(file), chance.randrange(len(text) + 1)
        spans = [*ide.definitions(editor, path, offset), *(m.span for m in ide.references(editor, path, offset))]
        spans += [item.span for item in ide.complete(editor, path, offset)]
        spans += [token.span for token in ide.tokens(editor, path)] + ide.selections(editor, path, offset)
        spans += [finding.span for found in editor.findings(path).values() for finding in found]
        spans += [symbol.whole for symbol in ide.symbols(editor, path)]
        ide.hover(editor, path, offset)
        assert [span for span in spans if not _is_inside(span)] == []
        assert all(1 <= first < last <= text.count("\n") + 1 for first, last in ide.foldings(editor, path))


def _is_inside(span: Span) -> bool:
    return 0 <= span.start <= span.end <= len(span.source.text)
