"""`--engine vllm`: the words of vLLM's server, and what is said where vLLM is not installed."""

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from fgc_runtime.serve.arguments import parse
from fgc_runtime.serve.folder import ModelFolder, find_model
from fgc_runtime.serve.vllm import command

from tests.runtime.serve.conftest import environment


@pytest.fixture
def folder(tmp_path: Path) -> ModelFolder:
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (tmp_path / name).write_text("{}", encoding="utf-8")
    return find_model(tmp_path)


def test_options_become_those_of_vllm(folder: ModelFolder) -> None:
    options = parse([str(folder.weights), "--engine", "vllm", "--port", "8010", "--tensor-parallel-size", "2"])
    words = command("python", folder, options, is_trusted=True)
    assert words[:6] == ["python", "-P", "-m", "vllm.entrypoints.openai.api_server", "--model", str(folder.weights)]
    pairs = dict(pairwise(words))
    assert (pairs["--port"], pairs["--tensor-parallel-size"], pairs["--served-model-name"]) == (
        "8010",
        "2",
        folder.name,
    )
    assert "--trust-remote-code" in words and "--pipeline-parallel-size" not in words
    assert "--trust-remote-code" not in command("python", folder, options, is_trusted=False)


def test_where_vllm_is_not_installed_that_is_said_at_once(folder: ModelFolder) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fgc_runtime.serve", str(folder.weights), "--engine", "vllm", "--vllm-python", "/none"],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(folder.weights),
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("fgc serve: vLLM is not installed for /none.\nName the Python of its environment")
