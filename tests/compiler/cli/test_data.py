"""`fgc data`: what it refuses before anything is constructed, and one whole preparation with the runtime."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import Run
from .test_dataset import CONFIG


@pytest.fixture(autouse=True)
def _config(run: Run) -> None:
    Path("c.yaml").write_text(CONFIG)


def test_wrong_words_are_named(run: Run) -> None:
    result = run("data", "prepare", "c.yaml")
    assert result.code == 2 and "needs `-o DIR`" in result.err
    result = run("data", "prepare", "c.yaml", "-o", "kept", "--target", "train_datset")
    assert result.code == 2 and "has no target `train_datset`; did you mean `train_dataset`?" in result.err
    result = run("data", "verify")
    assert result.code == 2 and "needs the folder that `fgc data prepare` wrote into" in result.err
    with pytest.raises(SystemExit):
        run("data", "prepare", "c.yaml", "-o", "kept", "-j", "0")
    Path("c.yaml").write_text("a: 1\n")
    result = run("data", "prepare", "c.yaml", "-o", "kept")
    assert result.code == 2 and "say what to prepare: `--target`, of a" in result.err


@pytest.mark.slow
def test_a_configuration_is_prepared_shown_and_verified() -> None:
    done = _fgc("prepare", "c.yaml", "-o", "kept", "-j", "2")
    assert done.returncode == 0 and "-- include 'datasets/prepared.yaml'" in done.stdout, done.stderr
    (shown,) = json.loads(_fgc("show", "kept", "--format", "json").stdout)
    columns = ["input_ids", "labels", "position_ids", "sequence_ids"]
    assert (shown["target"], shown["columns"]) == ("train_dataset", columns)
    shard = Path("kept/train_dataset") / shown["shards"][0]["name"]
    shard.write_bytes(shard.read_bytes()[:-1])
    done = _fgc("verify", "kept")
    assert done.returncode == 1 and f"{shard} is not what was prepared" in done.stderr


def _fgc(*words: str) -> "subprocess.CompletedProcess[str]":
    command = [str(Path(sys.executable).with_name("fgc")), "data", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
