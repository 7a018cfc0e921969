"""`--engine vllm`: the words of vLLM's server, and what is said where vLLM is not installed."""

import json
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from fgc_runtime.models.finding import ModelFolder, find_model
from fgc_runtime.serve.arguments import parse
from fgc_runtime.serve.vllm import breach, command, left_out, obstacle

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


def words_of(folder: ModelFolder, *options: str) -> dict[str, str]:
    words = command("python", folder, parse([str(folder.weights), *options]), is_trusted=False)
    return dict(pairwise(words))


def test_the_same_options_reach_vllm(folder: ModelFolder, tmp_path: Path) -> None:
    pairs = words_of(folder, "--kv-memory", "0.5", "--cors", "https://a.example", "--generation-config", "none")
    assert pairs["--kv-cache-memory-bytes"] == str(2**29)
    assert pairs["--allowed-origins"] == '["https://a.example"]' and words_of(folder)["--allowed-origins"] == "[]"
    assert pairs["--generation-config"] == "vllm" and "--generation-config" not in words_of(folder)
    assert words_of(folder, "--adapter", "poet=x")["--lora-modules"] == "poet=x"


@pytest.mark.parametrize(
    ("template", "parser"),
    [
        ("<tool_call>", "hermes"),
        ("{{ '[TOOL_CALLS]' }}", "mistral"),
        ('"parameters": ', "llama3_json"),
        ("<tool_call><function=", None),  # that of Hermes would find no call
        ("", None),
    ],
)
def test_calls_of_tools_are_read_by_the_templates_family(
    folder: ModelFolder, template: str, parser: str | None
) -> None:
    (folder.tokenizer / "chat_template.jinja").write_text(template, encoding="utf-8")
    assert words_of(folder).get("--tool-call-parser") == parser


def test_what_vllm_has_nothing_like_is_told(folder: ModelFolder) -> None:
    assert left_out(parse(["m", "--threads", "2", "--strict"])) == ["--threads", "--strict"]
    options = parse([str(folder.weights), "--follow"])
    assert "no training that goes on" in str(obstacle([folder], options))


def auto(model_folder: Path, python: Path, *options: str) -> subprocess.CompletedProcess[str]:
    words = [
        sys.executable,
        "-m",
        "fgc_runtime.serve",
        str(model_folder),
        "--engine",
        "auto",
        "--vllm-python",
        str(python),
    ]
    return subprocess.run(
        [*words, *options], capture_output=True, text=True, timeout=60, env=environment(model_folder), check=False
    )


def test_auto_takes_vllm_where_it_is(model_folder: Path, tmp_path: Path) -> None:
    """A stand-in for the Python of vLLM's environment: it has vLLM, and prints what it is asked to run."""
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\ncase "$*" in *find_spec*) exit 0;; esac\necho "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    done = auto(model_folder, python)
    assert "Serving with vLLM" in done.stdout and f"--model {model_folder}" in done.stdout, done.stderr
    done = auto(model_folder, python, "--follow", "--port", "0", "--dtype", "none")
    assert "Serving without vLLM: vLLM serves one model" in done.stdout and "--dtype none" in done.stderr


def test_auto_goes_on_without_vllm(model_folder: Path) -> None:
    done = auto(model_folder, Path("/none"), "--port", "0", "--dtype", "none")
    assert "Serving without vLLM: vLLM is not installed" in done.stdout and "--dtype none" in done.stderr


def test_a_model_that_breaks_the_contract_is_not_for_vllm(model_folder: Path, tmp_path: Path) -> None:
    assert breach(find_model(model_folder), parse([str(model_folder)])) is None
    shutil.copytree(model_folder, tmp_path / "m")
    config = json.loads((model_folder / "config.json").read_text(encoding="utf-8"))
    config["base_model_tp_plan"] = {"layers.*.no_such": "colwise"}
    (tmp_path / "m" / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert "no_such" in str(breach(find_model(tmp_path / "m"), parse([str(tmp_path / "m")])))
