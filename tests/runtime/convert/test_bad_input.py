"""Says what cannot be converted: every error names the values and the rule, and nothing is written."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from fgc_runtime.convert import conversion
from fgc_runtime.convert.faults import ConvertError
from safetensors.torch import load_file, save_file

from .conftest import Convert, config_of, save_model

Damage = Callable[[Path], None]


def tensors_changed(change: Callable[[dict[str, torch.Tensor]], Any]) -> Damage:
    def damage(folder: Path) -> None:
        tensors = load_file(folder / "model.safetensors")
        change(tensors)
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})

    return damage


def config_changed(**fields: Any) -> Damage:
    def damage(folder: Path) -> None:
        file = folder / "config.json"
        file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | fields), encoding="utf-8")

    return damage


def truncated(folder: Path) -> None:
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[: len(data) // 2])


def not_safetensors(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"<html>404</html>")


def without_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def pickled_code(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({"weights": torch.nn.Linear(2, 2)}, folder / "pytorch_model.bin")


def missing_shard(folder: Path) -> None:
    weight_map = {"model.norm.weight": "model-00001-of-00002.safetensors", "lm_head.weight": "model.safetensors"}
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": weight_map}), encoding="utf-8")


def tensor_not_in_its_shard(folder: Path) -> None:
    weight_map = dict.fromkeys([*load_file(folder / "model.safetensors"), "model.extra"], "model.safetensors")
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": weight_map}), encoding="utf-8")


BAD: dict[str, tuple[Damage, str]] = {
    "missing tensor": (
        tensors_changed(lambda t: t.pop("model.layers.1.mlp.up_proj.weight")),
        r"missing 1 tensors: model\.layers\.1\.mlp\.up_proj\.weight",
    ),
    "extra tensor": (
        tensors_changed(lambda t: t.update({"model.layers.0.self_attn.sinks": torch.zeros(4)})),
        r"1 tensors fit nowhere: model\.layers\.0\.self_attn\.sinks \(`--ignore PATTERN` leaves them\)",
    ),
    "shape": (
        tensors_changed(lambda t: t.update({"model.norm.weight": torch.zeros(65)})),
        r"`model\.norm\.weight` has the shape \(65\), and \(64\) is needed",
    ),
    "sizes that differ from the weights": (
        config_changed(intermediate_size=128),
        r"`model\.layers\.0\.mlp\.gate_proj\.weight` has the shape \(96, 64\), and \(128, 64\) is needed",
    ),
    "truncated": (truncated, r"model\.safetensors is damaged: .*"),
    "not safetensors": (not_safetensors, r"model\.safetensors is damaged: .*"),
    "no weights": (without_weights, r"has no weights: no model\.safetensors and no pytorch_model\.bin"),
    "pickled code": (pickled_code, r"pytorch_model\.bin is damaged, or holds more than tensors and is not run"),
    "missing shard": (
        missing_shard,
        r"lacks 1 of the 2 shards that model\.safetensors\.index\.json lists: model-00001-of-00002\.safetensors",
    ),
    "tensor not in its shard": (
        tensor_not_in_its_shard,
        r"index\.json lists tensors that its files do not hold: model\.extra",
    ),
    "a field of a wrong type": (config_changed(hidden_size="wide"), r"config\.json cannot be used: .*`?hidden_size"),
    "heads that do not divide": (
        config_changed(num_attention_heads=3, head_dim=None),
        r"config\.json cannot be used: .*\n.*hidden size \(64\) is not a multiple of the number of attention heads",
    ),
    "quantized": (config_changed(quantization_config={"quant_method": "fp8"}), r"the weights are quantized"),
}


@pytest.mark.parametrize("case", BAD)
def test_nothing_is_written_and_the_error_says_what_is_wrong(
    case: str, run_conversion: Convert, tmp_path: Path
) -> None:
    damage, message = BAD[case]
    source = save_model(tmp_path / "source", config_of("llama", attention_bias=False))
    damage(source)
    with pytest.raises(ConvertError, match=message):
        run_conversion(source, tmp_path / "package", is_verified=False)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_a_setting_that_the_template_does_not_compute_is_refused(run_conversion: Convert, tmp_path: Path) -> None:
    source = save_model(tmp_path / "source", config_of("gpt2", scale_attn_by_inverse_layer_idx=True))
    message = "`scale_attn_by_inverse_layer_idx` is True, but `models/gpt2.yaml` computes what False means"
    with pytest.raises(ConvertError, match=re.escape(message)):
        run_conversion(source, tmp_path / "package")


def test_ignored_tensors_are_left_out_and_named(
    run_conversion: Convert, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = save_model(tmp_path / "source", config_of("mistral"))
    tensors_changed(lambda t: t.update({"vision.proj": torch.zeros(4)}))(source)
    assert run_conversion(source, tmp_path / "package", ignore=["vision.*"], is_verified=False) == 0
    assert "left out: vision.proj" in capsys.readouterr().out


def test_a_package_that_computes_something_else_is_found_out_and_not_written(
    hugging_face: Callable[[str], Path], run_conversion: Convert, tmp_path: Path
) -> None:
    package = tmp_path / "changed"
    run_conversion(hugging_face("llama"), package, is_verified=False)
    code = package / "modeling_changed.py"
    text = code.read_text(encoding="utf-8")
    assert text.count("gate * self.up_proj") == 1
    code.write_text(text.replace("gate * self.up_proj", "gate + self.up_proj"), encoding="utf-8")
    with pytest.raises(ConvertError, match=r"the logits of the converted model differ by .* is not written"):
        run_conversion(package, tmp_path / "back", trust_remote_code=True)
    assert not (tmp_path / "back").exists()
    assert not list(tmp_path.glob("*.unfinished"))


def test_a_package_of_no_known_shape_says_why_for_every_architecture(
    hugging_face: Callable[[str], Path], run_conversion: Convert, tmp_path: Path
) -> None:
    package = tmp_path / "package"
    run_conversion(hugging_face("qwen3"), package, is_verified=False)
    tensors_changed(lambda t: t.pop("model.layers.0.self_attn.q_norm.weight"))(package)
    with pytest.raises(ConvertError, match="shape of no architecture") as caught:
        run_conversion(package, tmp_path / "back", trust_remote_code=True)
    assert "qwen3: missing 1 tensors: model.layers.0.self_attn.q_norm.weight" in str(caught.value)
    assert "mistral: the package's configuration lacks sliding_window" in str(caught.value)
    assert "gemma: the package has no part ZeroCentredRMSNorm" in str(caught.value)


def test_what_is_interrupted_leaves_nothing_and_keeps_what_was_there(
    hugging_face: Callable[[str], Path], run_conversion: Convert, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_conversion(hugging_face("mistral"), tmp_path / "package", is_verified=False)
    before = {path.name: path.read_bytes() for path in (tmp_path / "package").iterdir()}

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(conversion, "carry_out", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run_conversion(hugging_face("llama"), tmp_path / "package")
    assert {path.name: path.read_bytes() for path in (tmp_path / "package").iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["package"]


def test_a_dry_run_lists_everything_and_fails_for_what_does_not_fit(
    run_conversion: Convert, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = save_model(tmp_path / "source", config_of("gpt2"))
    assert run_conversion(source, None, is_dry_run=True) == 0
    out = capsys.readouterr().out
    assert "  intermediate_size: n_inner\n" in out
    names = ", ".join(f"model.layers.*.self_attn.{name}_proj.bias" for name in "qkv")
    assert f"  {names} <- transformer.h.*.attn.c_attn.bias  (2 times)\n" in out
    tensors_changed(lambda t: t.pop("transformer.wpe.weight"))(source)
    assert run_conversion(source, None, is_dry_run=True) == 1
    assert "error: missing 1 tensors: transformer.wpe.weight" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["source"]
