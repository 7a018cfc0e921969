"""Which names are slips of each other: what is suggested where a name may be meant as it is."""

import pytest
from fgc.diagnostics import misspelt
from fgc.diagnostics.nearest import nearest


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


@pytest.mark.parametrize(
    ("name", "other", "is_near"),
    [
        ("trainer_args", "trainer_header", False),
        ("preprocess_args", "preprocessed_datasets", False),
        ("save_safetensors", "save_steps", False),
        ("num_layer", "num_hidden_layers", True),
        ("hidden_dim", "hidden_size", True),
        ("maxsteps", "max_steps", True),
        ("traine_rargs", "trainer_args", True),
    ],
)
def test_names_that_share_a_word_and_differ_in_another_are_not_near(name: str, other: str, is_near: bool) -> None:
    assert nearest(name, [other]) == (other if is_near else None)
