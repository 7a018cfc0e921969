"""`fgc convert`: what is refused before anything heavy starts, and one whole conversion through its process."""

import json
from pathlib import Path

import pytest
from fgc.cli.conversion_tables import package_name, read_tables, template_text
from fgc.cli.main import main

from .conftest import Run

SOURCE = {"model_type": "llama", "hidden_size": 8}


def folder(name: str, config: object = None) -> Path:
    path = Path(name)
    path.mkdir(parents=True)
    if config is not None:
        (path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("config", "words", "message"),
    [
        (
            {"model_type": "lama"},
            ["out"],
            "is `lama`, which fgc does not convert; did you mean `llama`? Known: arcee (",
        ),
        ({"hidden_size": 8}, ["out"], "has no `model_type`"),
        (None, ["out"], "`source` has no config.json"),
        (SOURCE, [], "DST is missing"),
        (SOURCE, ["source/inside"], "`source/inside` and `source` must not contain each other"),
        (SOURCE, ["."], "`.` and `source` must not contain each other"),
        (SOURCE, ["source"], "must not contain each other"),
        (SOURCE, ["out", "--to", "gpt2"], "`--to` is for packages of fgc; `source` is a llama and becomes one"),
        (SOURCE, ["out", "--name", "My-Llama"], "`--name My-Llama` must be a package name"),
        (SOURCE, ["out", "--name", "qwen3"], "`--name qwen3` is taken: transformers has a class"),
    ],
)
def test_what_is_refused_at_once(run: Run, config: object, words: list[str], message: str) -> None:
    folder("source", config)
    result = run("convert", "source", *words)
    assert result.code == 2
    assert message in result.err
    assert not Path("out").exists()


def test_what_stands_in_the_way_is_not_overwritten(run: Run) -> None:
    folder("source", SOURCE)
    Path(folder("notes"), "todo.txt").write_text("mine", encoding="utf-8")
    folder("model", SOURCE)
    result = run("convert", "source", "notes", "--force")
    assert (result.code, "`notes` is not empty and contains no model" in result.err) == (2, True)
    result = run("convert", "source", "model")
    assert (result.code, "`model` already contains a model: `--force` replaces it" in result.err) == (2, True)


def test_a_package_takes_the_folders_name_where_that_is_one_of_python() -> None:
    names = {name: package_name(None, Path("/x") / name) for name in ("Llama-3.2-1B", "7b", "torch", "json", "gpt2")}
    assert names == {
        "Llama-3.2-1B": "llama_3_2_1b",
        "7b": "model_7b",
        "torch": "model_torch",
        "json": "model_json",
        "gpt2": "model_gpt2",
    }


def test_values_are_written_as_yaml_reads_them_back() -> None:
    fields = {"a": 1e-06, "b": 1e20, "c": float("inf"), "d": "no", "e": "silu", "f": None, "g": [1, {"h": "x: y"}]}
    text = template_text(read_tables()["llama"], "m", "s", fields, {}, {})
    import yaml

    body = text.partition("== super()")[2].partition("[model_code")[0]
    assert yaml.safe_load(body) == fields


@pytest.mark.slow
def test_one_conversion_through_its_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    monkeypatch.chdir(tmp_path)
    config = LlamaConfig(
        vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=1, num_attention_heads=2
    )
    LlamaForCausalLM(config).save_pretrained("source")
    capfd.readouterr()
    assert main(["convert", "source", "my-llama"]) == 0
    assert "random tokens differ by at most" in capfd.readouterr().out
    names = sorted(path.name for path in Path("my-llama").iterdir())
    assert names[-2:] == ["model.yaml", "modeling_my_llama.py"] and "model.safetensors" in names
    assert main(["check", "my-llama/model.yaml"]) == 0


@pytest.mark.slow
def test_a_model_that_the_library_cannot_describe_is_refused_with_its_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    monkeypatch.chdir(tmp_path)
    rope = {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.5}
    sizes = {"vocab_size": 64, "hidden_size": 36, "intermediate_size": 48, "num_hidden_layers": 1}
    LlamaForCausalLM(LlamaConfig(**sizes, num_attention_heads=2, rope_parameters=rope)).save_pretrained("source")
    capfd.readouterr()
    assert main(["convert", "source", "out"]) == 1
    assert "turn channels in pairs" in capfd.readouterr().err
    assert not Path("out").exists()


def test_tables_are_those_of_the_project_that_is_named(run: Run, tmp_path: Path) -> None:
    folder("source", {"model_type": "cwm"})
    folder("w/forgather_workspace")
    tables = folder("w/p/templates/conversions")
    Path("w/p/meta.yaml").write_text("name: p\n", encoding="utf-8")
    (tables / "cwm.yaml").write_text("extends: llama\nmodel_type: 3\n", encoding="utf-8")
    result = run("-p", "w/p", "convert", "source", "out")
    assert (result.code, "Expected `str`, got `int` - at `$.model_type`" in result.err) == (2, True)
    assert "`cwm`, which fgc does not convert" in run("convert", "source", "out").err
    Path("w/p/meta.yaml").write_text("name: [\n", encoding="utf-8")
    result = run("convert", "-p", "w/p", "source", "out")
    assert (result.code, "w/p/meta.yaml:" in result.err) == (2, True)


def test_a_gguf_file_of_a_hugging_face_folder_needs_no_table(run: Run) -> None:
    folder("source", SOURCE)
    for words in (["--explain"], ["--templates", "x"], ["--merge"]):
        result = run("convert", "source", "out.gguf", "--to", "gguf", *words)
        assert (result.code, f"takes no `{words[0]}`" in result.err) == (2, True)
