"""Which names are slips of each other: what is suggested where a name may be meant as it is."""

import pytest
from fgc.diagnostics import misspelt


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("max_setps", "max_steps"),
        ("warm_up", "warmup"),
        ("train_arg", "train_args"),
        ("levle", "level"),
        ("transfomers", "transformers"),
        ("toch", "torch"),
        ("no_cach", "no_cache"),
        ("learnung_rate", "learning_rate"),
        ("gradient_acumulation_stesp", "gradient_accumulation_steps"),
        ("AutoTokenizr", "AutoTokenizer"),
    ],
)
def test_mistyped_letters_are_slips(name: str, meant: str) -> None:
    assert misspelt(name, [meant]) == meant


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("test_dataset", "test_dataset_split"),
        ("model_project_dir", "model_src_dir"),
        ("train_steps", "eval_steps"),
        ("bos_token", "eos_token"),
        ("min_length", "max_length"),
        ("layer_1", "layer_2"),
        ("top_k", "top_p"),
        ("encoder", "decoder"),
        ("torchao", "torch"),
        ("torchx", "torch"),
        ("httpx", "http"),
        ("ujson", "json"),
        ("tensorboardX", "tensorboard"),
        ("xformers", "transformers"),
    ],
)
def test_other_words_are_other_names(name: str, other: str) -> None:
    assert misspelt(name, [other]) is None
