"""Options of the whole test run."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-corpus", action="store_true", help="rewrite the expected blocks of tests/corpus")
    parser.addoption("--update-golden", action="store_true", help="rewrite the generated programs of tests/golden")
