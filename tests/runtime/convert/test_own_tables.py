"""Tables in a user's folder: a family that the library does not have, converted there and back, and explained."""

import json
from pathlib import Path

import pytest
import torch
from fgc.cli.arguments import CannotRun
from fgc.cli.conversion_tables import TemplateFolder, read_tables
from fgc_runtime.convert.conversion import convert
from safetensors.torch import load_file
from transformers import AutoConfig

from .conftest import InProcess, job_of, save_model

_TABLE = """\
extends: ministral
architecture: CwmForCausalLM
model_type: cwm
template: families/cwm.yaml
config:
    fixed: { mlp_bias: false }
"""
_TEMPLATE = "-- extends 'models/ministral.yaml'\n\n[model_code_generator]\n    == super()\n    name: tiny_cwm\n"
_SIZES = {"vocab_size": 96, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 4}
_HEADS = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "bos_token_id": 1, "eos_token_id": 2}
_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 1e6,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}


@pytest.fixture
def own(tmp_path: Path) -> TemplateFolder:
    folder = tmp_path / "templates"
    (folder / "conversions").mkdir(parents=True)
    (folder / "families").mkdir()
    (folder / "conversions" / "cwm.yaml").write_text(_TABLE, encoding="utf-8")
    (folder / "families" / "cwm.yaml").write_text(_TEMPLATE, encoding="utf-8")
    return TemplateFolder(folder, tmp_path)


def test_a_family_of_ones_own_goes_there_and_back_and_is_explained(
    own: TemplateFolder, compiler: InProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fields = {**_SIZES, **_HEADS, "sliding_window": 16, "max_position_embeddings": 64, "rope_parameters": _ROPE}
    source = save_model(tmp_path / "theirs", AutoConfig.for_model("cwm", **fields))
    table = read_tables(own)["cwm"]
    try:
        compiler.own = own
        options = {"tables": [table], "is_to_package": True, "is_explained": True}
        compiler.job = job_of(source, tmp_path / "ours", **options)
        assert convert(compiler.job, compiler) == 0  # type: ignore[arg-type]  # it asks alike
    finally:
        compiler.own = None
    told = capsys.readouterr().out
    assert f"matched the table of `cwm` in {own.path / 'conversions' / 'cwm.yaml'}" in told
    lines = [line.split(maxsplit=3) for line in told.splitlines()]
    chosen = "chooses [positional_encoding]: models/positions/llama3_rope.yaml"
    assert ["rope_parameters.rope_type", "=", "'llama3'", chosen] in lines
    assert ["mlp_bias", "=", "False", "what the template stands for"] in lines

    compiler.job = job_of(tmp_path / "ours", tmp_path / "back", tables=[table], is_explained=True)
    assert convert(compiler.job, compiler) == 0  # type: ignore[arg-type]  # it asks alike
    assert "the package has its parts: RMSNorm, GatedMLP" in capsys.readouterr().out
    before, after = (json.loads((tmp_path / name / "config.json").read_text()) for name in ("theirs", "back"))
    assert after == before
    tensors, again = (load_file(tmp_path / name / "model.safetensors") for name in ("theirs", "back"))
    assert tensors.keys() == again.keys()
    assert all(torch.equal(tensors[name], again[name]) for name in tensors)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("extends: ministrall\nmodel_type: cwm\n", r"extends `ministrall`, which it cannot; did you mean `ministral`"),
        ("extends: cwm\nmodel_type: cwm\n", r"extends `cwm`, which it cannot"),
        ("model_type: cwm\nconfig: { }\n", r"cannot be read: Object missing required field `architecture`"),
        ("- cwm\n", r"cannot be read: Expected `object`, got `array`"),
        ("model_type: [\n", r"cannot be read: while parsing"),
        ("extends: ministral\nconfig: { same: 3 }\n", r"Expected `array \| null`, got `int` - at `\$\.config\.same`"),
        ("extends: ministral\nconfig: { sames: [] }\n", r"unknown field `sames` - at `\$\.config`"),
        ("config:\n", r"Expected `object`, got `null` - at `\$\.config`"),
        ("extends: [ ministral ]\n", r"Expected `str \| null`, got `array` - at `\$\.extends`"),
        ("config: { without: 3 }\n", r"Expected `array \| null`, got `int` - at `\$\.config\.without`"),
        ("extends: ministral\nmodel_type: 3\n", r"Expected `str`, got `int` - at `\$\.model_type`"),
        ("config: { fixed: { since: 2026-01-31 } }\n", r"date is not JSON serializable"),
        ("extends: ministral\ntensors: [ { ours: a } ]\n", r"missing required field `theirs` - at `\$\.tensors\[0\]`"),
        ("extends: ministral\nparts: { a: { block: b, templates: { true: x } } }\n", r"Expected `str`"),
        ("model_type: cwm\nmodel_type: other\n", r"`model_type` stands twice"),
        ("modules: &m [ *m ]\n", r"cannot be read"),
    ],
)
def test_a_table_that_is_none_is_refused_with_its_file(own: TemplateFolder, text: str, message: str) -> None:
    file = own.path / "conversions" / "cwm.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(CannotRun, match=message) as refused:
        read_tables(own)
    assert str(file) in str(refused.value)


def test_a_table_with_the_name_of_a_librarys_extends_that(own: TemplateFolder) -> None:
    (own.path / "conversions" / "llama.yaml").write_text("extends: llama\nconfig: { ignored: [ note ] }\n")
    tables, usual = read_tables(own), read_tables()
    assert tables["llama"]["config"]["ignored"] == [*usual["llama"]["config"]["ignored"], "note"]
    assert tables["mistral"] == usual["mistral"]  # which extends the library's
