"""Docstrings and comments of generated text are filled to its width, formulas and the author's layout left alone."""

from textwrap import dedent

import pytest
from fgc.emit.prose import filled


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            '''
            def f():
                """One line that is longer than forty columns."""
            ''',
            '''
            def f():
                """One line that is longer than
                forty columns.
                """
            ''',
            id="one-line",
        ),
        pytest.param(
            '''
            class A:
                """Short.

                A paragraph that is longer than forty columns
                with two lines.

                    a = table  of  formulas that is longer
                """
            ''',
            '''
            class A:
                """Short.

                A paragraph that is longer than
                forty columns with two lines.

                    a = table  of  formulas that is longer
                """
            ''',
            id="paragraph",
        ),
        pytest.param(
            '''
            """The angle of a pair is position * theta (2021, eq. 15)."""
            ''',
            '''
            """The angle of a pair is
            position * theta (2021, eq. 15).
            """
            ''',
            id="formula",
        ),
        pytest.param(
            """
            x = 1
            # a comment that is longer than forty columns
            # ruff: noqa: E501, F401, B006, B007, B008
            text = '''
            # a text that is longer than forty columns
            '''
            """,
            """
            x = 1
            # a comment that is longer than forty
            # columns
            # ruff: noqa: E501, F401, B006, B007, B008
            text = '''
            # a text that is longer than forty columns
            '''
            """,
            id="comment",
        ),
    ],
)
def test_long_prose_is_filled(text: str, expected: str) -> None:
    assert filled(dedent(text).lstrip(), 40) == dedent(expected).lstrip()
    assert filled(dedent(expected), 40) == dedent(expected)
