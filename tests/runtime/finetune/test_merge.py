"""`fgc convert --merge`: an adapter and its base as one model, with the logits that both have together."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from fgc_runtime.convert.merge import merge
from fgc_runtime.finetune import AdapterMismatch
from fgc_runtime.trainers import Trainer
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer

from .conftest import save_base
from .test_adapters import logits


@pytest.mark.parametrize("targets", ["all-linear", ["lm_head", "q_proj"]])
@pytest.mark.parametrize("is_tied", [False, True])
def test_the_merged_model_computes_what_both_do(
    tmp_path: Path, train: Callable[..., Trainer], targets: Any, is_tied: bool
) -> None:
    """A head that shares the embedding's weights must get its own, or the embedding would change with it."""
    base = save_base(tmp_path / "base", tie_word_embeddings=is_tied)
    trainer = train(base, save_strategy="no", adapter=partial(LoraConfig, r=4, target_modules=targets))
    told = merge(str(trainer.output_dir), str(tmp_path / "merged"))
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    torch.testing.assert_close(logits(merged), logits(trainer.model), rtol=0, atol=1e-5)
    needs_own = is_tied and targets != "all-linear"
    assert ("head has weights of its own" in told) == needs_own
    assert merged.config.tie_word_embeddings == (is_tied and not needs_own)
    assert len(AutoTokenizer.from_pretrained(tmp_path / "merged")) == len(AutoTokenizer.from_pretrained(base))
    assert not (tmp_path / "merged/adapter_config.json").exists()


def test_it_keeps_the_dtype_of_the_base_and_rounds_once(tmp_path: Path, train: Callable[..., Trainer]) -> None:
    base = save_base(tmp_path / "base", dtype=torch.bfloat16)
    trainer = train(base, save_strategy="no")
    told = merge(str(trainer.output_dir), str(tmp_path / "merged"))
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged", dtype="auto")
    assert merged.dtype == torch.bfloat16 and "in bfloat16" in told
    layer = trainer.model.model.layers[0].mlp.up_proj
    exact = layer.base_layer.weight.double() + layer.get_delta_weight("default").double()
    assert torch.equal(merged.model.layers[0].mlp.up_proj.weight, exact.float().bfloat16())
    assert merge(str(trainer.output_dir), str(tmp_path / "float32"), dtype="float32").count("in float32") == 2


def test_another_base_is_refused_and_nothing_written(tmp_path: Path, base: Path, train: Callable[..., Trainer]) -> None:
    output = train(base, save_strategy="no").output_dir
    with pytest.raises(AdapterMismatch, match="has other weights"):
        merge(str(output), str(tmp_path / "merged"), base=str(save_base(tmp_path / "other", seed=1)))
    assert not (tmp_path / "merged").exists()
    moved = base.rename(tmp_path / "moved")
    with pytest.raises(Exception, match=r"base of .* is not there.*--base MODEL"):
        merge(str(output), str(tmp_path / "merged"))
    merge(str(output), str(tmp_path / "merged"), base=str(moved))
