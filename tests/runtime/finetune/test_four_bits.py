"""QLoRA: refused clearly where bitsandbytes is missing; where it is, trained, resumed and loaded with PEFT."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from fgc_runtime.finetune import fine_tuned, four_bits, load_base
from fgc_runtime.trainers import Trainer
from peft import PeftModel
from transformers import AutoModelForCausalLM

from .conftest import checkpoint_of, save_base
from .test_adapters import logits, weights


def test_without_bitsandbytes_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fgc_runtime.packages.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"QLoRA needs the package bitsandbytes.*pip install 'fgc\[qlora\]'"):
        four_bits()


def test_an_adapter_beside_four_bits_resumes_and_loads(tmp_path: Path, train: Callable[..., Trainer]) -> None:
    pytest.importorskip("bitsandbytes")
    base = save_base(tmp_path / "base", hidden_size=64, intermediate_size=128)  # blocks of 64 weights share a scale
    quantized = partial(load_base, str(base), quantization_config=four_bits())
    straight = train(base, loaded=quantized)
    again = str(checkpoint_of(straight.output_dir, 2))
    resumed = train(base, "again", loaded=quantized, resume_from_checkpoint=again)
    expected, found = weights(straight.output_dir), weights(resumed.output_dir)
    assert all((expected[name] - found[name]).abs().max() == 0 for name in expected)
    loaded = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), straight.output_dir)
    assert 0 < (logits(loaded) - logits(straight.model)).abs().max() < 0.5  # the base is rounded in one of them
    with pytest.raises(ValueError, match="base is quantized: its weights cannot be trained"):
        fine_tuned(quantized)
