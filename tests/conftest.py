"""Options of the whole test run."""

import gc
import os
import shutil
import tempfile

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Sends what builds and trainings remember of their code to a folder of this test run."""
    state = tempfile.mkdtemp(prefix="fgc-state-")
    os.environ["XDG_STATE_HOME"] = state
    config.add_cleanup(lambda: shutil.rmtree(state, ignore_errors=True))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-corpus", action="store_true", help="rewrite the expected blocks of tests/corpus")
    parser.addoption("--update-golden", action="store_true", help="rewrite the generated programs of tests/golden")
    parser.addoption("--matrix", action="store_true", help="train every model with every trainer and kind of data")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Leaves torch and transformers out of every later collection of garbage: conversions collect, in a big process."""
    gc.collect()
    gc.freeze()
