"""`fgc dataset`: a configuration's data set, shown by a process that may load what the compiler may not."""

import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import Run

CONFIG = """\
texts: &texts !list [ "import os\\n", "x = 1\\n" ]
other: 3
tokenizer: &tokenizer !singleton:fgc_runtime.data:train_bpe_tokenizer
    texts: *texts
    vocab_size: 270
    cache_dir: cache
train_dataset: &train !singleton:fgc_runtime.data:PackedDataset
    texts: *texts
    tokenizer: *tokenizer
    block_size: {{ block_size | default(16) }}
    cache_dir: cache
main: *train
"""


@pytest.fixture(autouse=True)
def _config(run: Run) -> None:
    Path("c.yaml").write_text(CONFIG)


@pytest.mark.slow
def test_the_training_data_is_shown_and_a_closed_pipe_is_no_error() -> None:
    command = [str(Path(sys.executable).with_name("fgc")), "dataset", "c.yaml", "-n", "1", "-D", "block_size=24"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("example 0: 20 tokens, 2 documents, 18 labels\n-- document 0: 12 tokens\n")
    assert "⟦<|bos|>⟧import os\n<|eos|>" in done.stdout
    piped = subprocess.run(
        f"{' '.join(command)} | head -1; echo ${{PIPESTATUS[0]}}", shell=True, executable="/bin/bash",
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert piped.stdout.splitlines() == ["example 0: 20 tokens, 2 documents, 18 labels", "0"]
    assert piped.stderr == ""


def test_the_text_of_the_configuration_is_printed_without_its_data(run: Run) -> None:
    result = run("dataset", "c.yaml", "--pp")
    assert result.code == 0
    assert "block_size: 16" in result.out


def test_wrong_targets_are_named(run: Run) -> None:
    result = run("dataset", "c.yaml", "--target", "train_datset")
    assert result.code == 2 and "has no target `train_datset`; did you mean `train_dataset`?" in result.err
    Path("c.yaml").write_text("a: 1\n")
    result = run("dataset", "c.yaml")
    assert result.code == 2 and "say which of its targets is the data set: `--target`, of a" in result.err


def test_a_configuration_with_errors_is_not_run(run: Run) -> None:
    Path("c.yaml").write_text("main: *nothing\n")
    assert run("dataset", "c.yaml").code == 1
