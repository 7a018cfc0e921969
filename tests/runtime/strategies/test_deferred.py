"""Models whose weights are made later: the same bits, the same random numbers behind them, and little memory."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from fgc_runtime.trainers import FSDP2, Pipeline, SingleDevice, Strategy, Trainer, TrainingArguments, deferred
from fgc_runtime.trainers.deferred import models, recording
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    DeepseekV3Config,
    FalconH1Config,
    Gemma2Config,
    LlamaConfig,
    LlamaForCausalLM,
    MambaConfig,
    MixtralConfig,
)

_SIZES = {
    "vocab_size": 60,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
}
_LATENT = {"kv_lora_rank": 16, "q_lora_rank": 16, "qk_nope_head_dim": 16, "qk_rope_head_dim": 16, "v_head_dim": 16}
_GROUPS = {"n_routed_experts": 4, "n_group": 1, "topk_group": 1, "num_experts_per_tok": 2, "moe_intermediate_size": 16}


@pytest.fixture(params=[1, 1000], ids=["all", "large"])
def _fewest(request: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "_FEWEST_ELEMENTS", request.param)


@pytest.fixture
def _every(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "_FEWEST_ELEMENTS", 1)
    monkeypatch.setattr(recording, "_MOST_STEPS", 100)


@pytest.mark.parametrize(
    "config",
    [
        LlamaConfig(**_SIZES, tie_word_embeddings=True, pad_token_id=0),
        LlamaConfig(**_SIZES, tie_word_embeddings=False),
        MixtralConfig(**_SIZES, num_local_experts=4),
        Gemma2Config(**_SIZES, head_dim=16),
        MambaConfig(**_SIZES),
        FalconH1Config(**_SIZES, mamba_d_ssm=32, mamba_n_heads=2, mamba_d_head=16),
        DeepseekV3Config(**_SIZES, **_LATENT, **_GROUPS),
    ],
    ids=["tied-padded", "untied", "mixtral", "gemma2", "mamba", "falcon-h1", "deepseek"],
)
@pytest.mark.usefixtures("_fewest")
def test_a_filled_model_is_the_one_that_is_made_at_once(config: Any) -> None:
    torch.manual_seed(5)
    plain, plain_draws = AutoModelForCausalLM.from_config(config), torch.rand(3)
    torch.manual_seed(5)
    later, later_draws = _constructed(lambda: AutoModelForCausalLM.from_config(config)), torch.rand(3)
    assert torch.equal(plain_draws, later_draws)
    assert any(weight.is_meta for weight in later.parameters())
    _can_answer(later)
    deferred.fill(later)
    _assert_same(plain, later)
    token_ids = torch.arange(8)[None]
    assert torch.equal(plain.eval()(token_ids).logits, later.eval()(token_ids).logits)


def _constructed(factory: Callable[[], Any]) -> Any:
    """Returns what `construct` makes of a factory that does nothing out of the way."""
    told: list[str] = []
    made = deferred.construct(factory, tell=told.append)
    assert not told
    return made


def _can_answer(model: Any) -> None:
    state = torch.get_rng_state()
    with torch.no_grad(), deferred.answering(model):
        logits = model(input_ids=torch.arange(8)[None]).logits
    assert logits.isfinite().all() and logits.std() > 0
    assert torch.equal(state, torch.get_rng_state())
    assert any(weight.is_meta for weight in model.parameters())


def _assert_same(expected: nn.Module, found: nn.Module) -> None:
    for kind in ("named_parameters", "named_buffers"):
        pairs = zip(getattr(expected, kind)(), getattr(found, kind)(), strict=True)
        for (name, tensor), (found_name, found_tensor) in pairs:
            assert name == found_name
            assert tensor.dtype == found_tensor.dtype and type(tensor) is type(found_tensor)
            assert torch.equal(tensor, found_tensor), name


class _Odd(nn.Module):
    """Initial values by every way that is written down."""

    def __init__(self) -> None:
        super().__init__()
        self.orthogonal = nn.Parameter(nn.init.orthogonal_(torch.empty(8, 9)))
        self.truncated = nn.Parameter(nn.init.trunc_normal_(torch.empty(40, 40), std=1.0, a=-1.0, b=1.0))
        self.in_a_tail = nn.Parameter(nn.init.trunc_normal_(torch.empty(40, 40), std=1.0, a=2.0, b=3.0))
        self.drawn = nn.Parameter(torch.randn(30, 4) * 0.02)
        self.ones, self.frozen = nn.Parameter(torch.ones(30)), nn.Parameter(torch.zeros(9), requires_grad=False)
        self.copied = nn.Parameter(torch.empty(4, 30))
        with torch.no_grad():
            self.copied.copy_(self.drawn.t())
            self.copied[1:3].mul_(2)
            self.copied[0] = 7.0
            self.copied[:, 3] = 5.0
            self.copied[torch.tensor([1, 3]), torch.tensor([0, 2])] = 6.0
            self.drawn.add_(1)  # does not reach the copy
            self.copied.div_(self.copied.norm())
        self.own = nn.Parameter(torch.empty(50).normal_(generator=torch.Generator().manual_seed(3)))
        self.halved = nn.Parameter(torch.empty(6, 6, dtype=torch.bfloat16).uniform_(-1, 1))
        self.window = nn.Parameter(self.halved.data[2:4])  # the same memory
        self.seen_as_integers = nn.Parameter(torch.rand(30).view(torch.int32), requires_grad=False)
        self.register_buffer("mask", torch.tril(torch.ones(20, 20)))
        self.register_buffer("beside", torch.arange(50, device=self.ones.device) * self.ones.detach()[0])
        self.plain = [torch.zeros(40)]
        self.register_buffer("given", torch.rand(9, out=torch.arange(9.0)))


class _Experts(nn.Module):
    """Two weights of many matrices, filled by turns, each matrix by what is read of the other weight."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.Parameter(torch.empty(30, 6, 8)), nn.Parameter(torch.empty(30, 8, 6))
        with torch.no_grad():
            for up, down in zip(self.up, self.down, strict=True):
                nn.init.trunc_normal_(up, a=-0.5, b=0.5)
                down.uniform_().mul_(up.norm())
            self.down[7:].transpose(1, 2).exponential_()


class _Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(60, 30, padding_idx=1), nn.Linear(30, 60)
        self.head.weight = self.embedding.weight


class _Holder:
    def __init__(self) -> None:
        self.angles = torch.ones(30, 30)


class _Hidden(nn.Module):
    """A tensor in an object that is no module, and one in a function."""

    def __init__(self) -> None:
        super().__init__()
        scale = torch.full((30, 30), 2.0)
        self.weight, self.holder = nn.Parameter(torch.rand(30, 30)), _Holder()
        self.scaled = lambda hidden: hidden * scale

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        scaled: torch.Tensor = self.scaled(hidden @ self.weight) + self.holder.angles
        return scaled


def _with_dirac() -> nn.Module:
    convolution = nn.Conv1d(32, 32, 3)
    nn.init.dirac_(convolution.weight)
    return convolution


def _with_default_dtype() -> nn.Module:
    torch.set_default_dtype(torch.bfloat16)
    try:
        return nn.ModuleList([_Tied(), nn.Linear(30, 40), nn.Conv2d(8, 8, 3)])
    finally:
        torch.set_default_dtype(torch.float32)


def _changing(change: Callable[[nn.Parameter], Any]) -> Callable[[], nn.Module]:
    def factory() -> nn.Module:
        module = nn.Linear(40, 40)
        with torch.no_grad():
            change(module.weight)
        return module

    return factory


def _with(weight: Callable[[], torch.Tensor]) -> Callable[[], nn.Module]:
    def factory() -> nn.Module:
        module = nn.Linear(40, 40)
        module.register_parameter("other", nn.Parameter(weight()))
        return module

    return factory


def _fill_with_ones(weight: nn.Parameter) -> None:
    weight.data.fill_(1)


def _add_in_turn(weight: nn.Parameter) -> None:
    other = torch.rand(40, 40)
    for _ in range(30):  # each is made of two of the one before
        weight.add_(other)
        other.add_(weight)


def _multiply_under_autocast(weight: nn.Parameter) -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        weight.copy_(weight @ weight)


def _trained() -> nn.Module:
    module = nn.Linear(40, 40)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    module(torch.ones(2, 40)).sum().backward()
    optimizer.step()
    optimizer.zero_grad()
    return module


def _with_graph() -> nn.Module:
    module = nn.Linear(40, 40)
    module.flat = module.weight.flatten()
    return module


def _assert_made_alike(factory: Callable[[], nn.Module]) -> list[str]:
    """Compares what a factory makes with what is filled later; returns what was told."""
    told: list[str] = []
    torch.manual_seed(1)
    plain, plain_draws = factory(), torch.rand(3)
    torch.manual_seed(1)
    later, later_draws = deferred.construct(factory, tell=told.append), torch.rand(3)
    assert any(weight.is_meta for weight in later.parameters()) != bool(told)
    deferred.fill(later)
    assert torch.equal(plain_draws, later_draws)
    _assert_same(plain, later)
    return told


@pytest.mark.parametrize(
    "factory",
    [
        _Odd,
        _Experts,
        _Tied,
        _with_dirac,
        _with_default_dtype,
        lambda: nn.Linear(40, 40).to(torch.bfloat16),
        lambda: nn.utils.parametrizations.weight_norm(nn.Linear(40, 40)),
        lambda: nn.TransformerDecoder(nn.TransformerDecoderLayer(32, 4, 64), 2),  # copies its layer
        _changing(lambda weight: nn.init.sparse_(weight, 0.3)),
        _changing(nn.init.kaiming_normal_),
        _changing(lambda weight: weight.copy_(torch.normal(torch.zeros(40, 40), 1.0))),
        _changing(lambda weight: weight.t().clamp_(max=0.1).bernoulli_(0.3)),
    ],
    ids=[
        *("odd", "experts", "tied", "dirac", "bf16", "to", "weight-norm", "copies"),
        *("sparse", "kaiming", "normal", "bernoulli"),
    ],
)
@pytest.mark.usefixtures("_every")
def test_what_a_constructor_does_is_done_again(factory: Callable[[], nn.Module]) -> None:
    assert not _assert_made_alike(factory)


@pytest.mark.parametrize(
    ("factory", "reason"),
    [
        (lambda: nn.LSTM(20, 30), "weak references"),
        (lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(40, 40)), "set_"),
        (_with_graph, "keeps how"),
        (_changing(lambda weight: torch._foreach_copy_([weight], [torch.rand(40, 40)])), "_foreach_copy_"),
        (_changing(lambda weight: torch.mul(torch.rand(40, 40), 2, out=weight)), "mul"),
        (_changing(lambda weight: torch.rand(40, 40, out=weight)), "rand"),
        (_changing(lambda weight: torch.frexp(weight.clone(), out=(weight, torch.empty(0).int()))), "frexp"),
        (_changing(nn.init.eye_), "eye"),
        (_changing(lambda weight: weight.data.resize_(50, 20).fill_(1)), "resize_"),
        (_changing(lambda weight: weight.copy_(torch.from_numpy(weight.detach().numpy() + 1))), "numpy"),
        (_changing(lambda weight: ThreadPoolExecutor(1).submit(_fill_with_ones, weight).result()), "thread"),
        (_changing(lambda weight: torch.nested.nested_tensor([weight, weight])), "nested"),
        (_changing(lambda weight: weight.fill_(weight.data_ptr() != 0)), "data_ptr"),
        (_changing(lambda weight: weight.register_hook(lambda gradient: gradient)), "hooks"),
        (_changing(lambda weight: [weight[0, 0].add_(1) for _ in range(101)]), "100 steps"),
        (_changing(lambda weight: [weight.copy_(weight.clone()) for _ in range(40)]), "in a row"),
        (_changing(_add_in_turn), "100 steps"),
        (_changing(_multiply_under_autocast), "autocast"),
        (_trained, "backward"),
        (_changing(lambda weight: weight.as_strided((9, 9), (1, 1)).zero_()), "twice"),
        (_with(lambda: torch.rand(40, 40, dtype=torch.complex64).conj()), "conjugate"),
        (_with(lambda: torch.ones(4, 4, 4, 4).to(memory_format=torch.channels_last)), "meta"),
        (_with(lambda: torch.arange(40.0).to(torch.zeros(40))), "meta"),
    ],
)
@pytest.mark.usefixtures("_every")
def test_what_cannot_be_done_again_is_told_and_done_at_once(factory: Callable[[], nn.Module], reason: str) -> None:
    told = _assert_made_alike(factory)
    assert len(told) == 1 and reason in told[0]


@pytest.mark.usefixtures("_every")
def test_tensors_in_other_objects_are_filled_at_once() -> None:
    hidden = torch.rand(30, 30)
    torch.manual_seed(1)
    plain = _Hidden()
    torch.manual_seed(1)
    later = _constructed(_Hidden)
    deferred.fill(later)
    assert torch.equal(plain(hidden), later(hidden))


@pytest.mark.usefixtures("_every")
def test_weights_that_share_memory_still_do() -> None:
    later = _constructed(_Odd)
    assert not later.frozen.requires_grad and later.plain[0].device.type == "cpu"
    with torch.no_grad():
        later.window.zero_()
    assert later.halved[2:4].abs().max() == 0 and later.halved.abs().max() > 0


@pytest.mark.usefixtures("_every")
def test_an_error_of_the_constructor_is_raised_by_its_only_call() -> None:
    calls = []

    def factory() -> nn.Module:
        calls.append(nn.Linear(40, 40))
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        deferred.construct(factory, tell=pytest.fail)
    assert len(calls) == 1


@pytest.mark.usefixtures("_every")
def test_what_was_written_down_is_forgotten_when_the_model_is_filled() -> None:
    model = _constructed(lambda: nn.Sequential(nn.Linear(40, 40), nn.Linear(40, 40)))
    histories = models._recordings[model].histories
    assert len(histories) == 4
    deferred.fill(model, model[0])
    assert len(histories) == 2
    model[1] = nn.Identity()
    deferred.fill(model)
    assert not histories and not deferred.is_deferred(model)


def _first_weights(make: Callable[[], Any], strategy: Callable[[], Strategy], folder: Path) -> Any:
    """The initial weights, and which of them the factory left without contents."""
    recording._FEWEST_ELEMENTS = 100  # a process of its own
    made: list[Any] = []
    make_weights = models._make

    def noting(of: Any, tensors: list[torch.Tensor]) -> None:
        made.append(sum(isinstance(tensor, nn.Parameter) for tensor in tensors))
        make_weights(of, tensors)

    models._make = noting
    trainer = Trainer(make, TrainingArguments(output_dir=folder, use_cpu=True, seed=11), strategy=strategy())
    full = trainer.strategy.full_model()
    return (None if full is None else {name: tensor.clone() for name, tensor in full.state_dict.items()}), made


def _llama(*, is_tied: bool) -> LlamaForCausalLM:
    return LlamaForCausalLM(LlamaConfig(**_SIZES, tie_word_embeddings=is_tied, attn_implementation="sdpa"))


@pytest.mark.parametrize("is_tied", [False, True], ids=["untied", "tied"])
@pytest.mark.parametrize(
    "strategy",
    [FSDP2, lambda: FSDP2(dp_replicate_size=2), lambda: FSDP2(tp_size=2), Pipeline],
    ids=["fsdp2", "hsdp", "tensor-parallel", "pipeline"],
)
def test_strategies_in_parts_begin_with_the_weights_of_one_process(
    in_processes: Callable[..., Any], tmp_path: Path, strategy: Callable[[], Strategy], is_tied: bool
) -> None:
    def make() -> LlamaForCausalLM:
        return _llama(is_tied=is_tied)

    (whole, no_fills), *_ = in_processes(1, _first_weights, make, SingleDevice, tmp_path)
    (parts, fills), (_, other_fills) = in_processes(2, _first_weights, make, strategy, tmp_path)
    assert not no_fills and sum(fills) > 0 and sum(other_fills) > 0
    assert whole.keys() == parts.keys()
    for name, tensor in whole.items():
        assert torch.equal(tensor, parts[name]), name
