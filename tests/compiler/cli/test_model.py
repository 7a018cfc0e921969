"""`fgc model`: a configuration, a build, a model folder; what is wrong with each."""

import json
from pathlib import Path

import pytest
from fgc.cli.main import main

from .conftest import Run

SMALL = """\
-- extends 'models/llama.yaml'
[model_config]
    == super()
    vocab_size: {{ size | default(96) }}
    hidden_size: 64
    intermediate_size: 160
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(SMALL, encoding="utf-8")
    return Path("small.yaml")


@pytest.mark.slow
def test_a_configuration_with_its_variables_and_other_fields(config: Path, capfd: pytest.CaptureFixture[str]) -> None:
    command = ("model", str(config), "-D", "size=128", "--set", "num_hidden_layers=2", "--max-depth", "3")
    assert main([*command, "--format", "json"]) == 0
    numbers = json.loads(capfd.readouterr().out)
    layer = 4 * 64 * 64 + 3 * 64 * 160 + 2 * 64
    assert numbers["parameters"]["total"] == 2 * 128 * 64 + 2 * layer + 64
    layers = next(item for item in numbers["modules"] if item["path"] == "model.layers.0-1")
    assert (layers["count"], layers["parameters"], layers["class"]) == (2, layer, "PreNormLayer")


@pytest.mark.slow
def test_the_folder_of_a_build_and_a_readable_report(config: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["build", str(config), "--target", "model"]) == 0
    capfd.readouterr()
    assert main(["model", "out", "--sequence-length", "8", "--optimizer", "sgd"]) == 0
    out = capfd.readouterr().out
    assert out.startswith("TinyLlamaForCausalLM: ")
    assert "0-3" in out and "4 times" in out and "FLOPs per token at a sequence length of 8" in out


def test_a_folder_without_a_model_is_refused_with_what_a_model_is(run: Run) -> None:
    Path("empty").mkdir()
    result = run("model", "empty")
    assert result.code == 2
    assert "`empty` contains no model: no config.json, and no configuration_*.py" in result.err


def test_a_configuration_without_a_model_is_refused(run: Run) -> None:
    Path("plain.yaml").write_text("main: 1\n", encoding="utf-8")
    result = run("model", "plain.yaml")
    assert (result.code, "describes no model" in result.err) == (2, True)


def test_findings_come_before_any_model(run: Run) -> None:
    Path("wrong.yaml").write_text("-- extends 'models/lama.yaml'\n", encoding="utf-8")
    result = run("model", "wrong.yaml")
    assert result.code == 1
    assert "FGC201" in result.err and "models/llama.yaml" in result.err


def test_a_malformed_change_says_how_it_should_look(run: Run, config: Path) -> None:
    result = run("model", str(config.absolute()), "--set", "layers")
    assert (result.code, result.err) == (
        2,
        "fgc: `--set layers` must be FIELD=VALUE, such as `num_hidden_layers=80`\n",
    )
