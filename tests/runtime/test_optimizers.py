"""Each optimizer against its paper's formula in float64 numpy, its state through a checkpoint, and rounding."""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy
import pytest
import torch
from fgc_runtime.optim import (
    Adafactor,
    Apollo,
    BFloat16AdamW,
    GaLore,
    Hybrid,
    Lion,
    Muon,
    SinkGD,
    grouped,
    hybrid,
    muon,
    stochastic_round,
    weight_decay_groups,
)
from torch import nn

Array = Any
STEPS = 5
OWN = [
    partial(Adafactor, lr=0.1, beta1=0.9, weight_decay=0.1),
    partial(Apollo, lr=0.1, rank=2, update_interval=3),
    partial(BFloat16AdamW, lr=0.1, weight_decay=0.1),
    partial(GaLore, lr=0.1, rank=2, update_interval=3),
    partial(Lion, lr=0.1, weight_decay=0.1),
    partial(SinkGD, lr=0.1),
    partial(muon, lr=0.1),
]


def gradients(*shape: int, seed: int = 0) -> list[Array]:
    return list(numpy.random.default_rng(seed).standard_normal((STEPS, *shape)))


def moved(factory: Callable[..., Any], weight: Array, steps: list[Array]) -> Array:
    """The weight after these gradients."""
    parameter = nn.Parameter(torch.tensor(weight, dtype=torch.float32))
    optimizer = factory([parameter])
    for gradient in steps:
        parameter.grad = torch.tensor(gradient, dtype=torch.float32)
        optimizer.step()
    return parameter.detach().numpy()


def close(ours: Array, formula: Array) -> None:
    numpy.testing.assert_allclose(ours, formula, rtol=2e-5, atol=2e-6)  # float32 against float64 over 5 steps


def start(*shape: int) -> Array:
    return numpy.random.default_rng(9).standard_normal(shape)


# ---- against the papers


def test_lion_moves_by_the_sign_of_its_interpolated_momentum() -> None:
    p, m = start(3, 4), numpy.zeros((3, 4))
    for g in gradients(3, 4):
        p = p - 0.01 * (numpy.sign(0.9 * m + 0.1 * g) + 0.2 * p)
        m = 0.99 * m + 0.01 * g
    close(moved(partial(Lion, lr=0.01, weight_decay=0.2), start(3, 4), gradients(3, 4)), p)


def adam(state: dict[str, Array], g: Array, t: int) -> Array:
    state["m"] = 0.9 * state.get("m", 0) + 0.1 * g
    state["v"] = 0.999 * state.get("v", 0) + 0.001 * g**2
    return (state["m"] / (1 - 0.9**t)) / (numpy.sqrt(state["v"] / (1 - 0.999**t)) + 1e-8)


def test_bfloat16_adamw_is_adamw_on_float32_weights() -> None:
    p, state = start(3, 4), {}
    for t, g in enumerate(gradients(3, 4), start=1):
        p = p - 0.01 * (adam(state, g, t) + 0.2 * p)
    close(moved(partial(BFloat16AdamW, lr=0.01, weight_decay=0.2), start(3, 4), gradients(3, 4)), p)
    close(moved(partial(torch.optim.AdamW, lr=0.01, weight_decay=0.2), start(3, 4), gradients(3, 4)), p)


@pytest.mark.parametrize("shape", [(4, 3), (2, 4, 3), (2, 2, 3, 5)])
def test_adafactor_factors_the_last_two_dimensions(shape: tuple[int, ...]) -> None:
    p = start(*shape)
    rows: Array = 0.0
    columns: Array = 0.0
    for t, g in enumerate(gradients(*shape), start=1):
        b2 = 1 - t**-0.8
        rows = b2 * rows + (1 - b2) * (g**2 + 1e-30).sum(-1)  # sums, as in the paper; ours are means
        columns = b2 * columns + (1 - b2) * (g**2 + 1e-30).sum(-2)
        v = rows[..., :, None] * columns[..., None, :] / rows.sum(-1)[..., None, None]
        u = g / numpy.sqrt(v)
        u = u / max(1, numpy.sqrt((u**2).mean()) / 1.0)
        p = p - 0.05 * (u + 0.1 * p)
    close(moved(partial(Adafactor, lr=0.05, weight_decay=0.1), start(*shape), gradients(*shape)), p)


def test_adafactor_keeps_vectors_whole_scales_and_averages() -> None:
    p = start(6)
    v: Array = 0.0
    m: Array = 0.0
    for t, g in enumerate(gradients(6), start=1):
        b2 = 1 - t**-0.5
        v = b2 * v + (1 - b2) * (g**2 + 1e-30)
        u = g / numpy.sqrt(v)
        u = u / max(1, numpy.sqrt((u**2).mean()) / 0.5)
        m = 0.9 * m + 0.1 * u
        p = p - 0.05 * max(1e-3, numpy.sqrt((p**2).mean())) * m
    options = {"decay_rate": -0.5, "clip_threshold": 0.5, "beta1": 0.9, "scale_parameter": True}
    close(moved(partial(Adafactor, lr=0.05, **options), start(6), gradients(6)), p)


def test_adafactor_takes_a_single_number() -> None:
    assert moved(partial(Adafactor, lr=0.1), numpy.array(1.0), [numpy.array(2.0)]) == pytest.approx(0.9)


@pytest.mark.parametrize("shape", [(3, 5), (5, 3)])
def test_galore_is_adam_in_the_span_of_the_first_singular_vectors(shape: tuple[int, int]) -> None:
    p, state = start(*shape), {}
    for t, g in enumerate(gradients(*shape), start=1):
        wide = g if shape[0] < shape[1] else g.T
        if (t - 1) % 3 == 0:
            vectors = numpy.linalg.svd(wide)[0][:, :2]
            vectors = vectors * [1 if max(column, key=abs) > 0 else -1 for column in vectors.T]
        update = 0.25 * vectors @ adam(state, vectors.T @ wide, t)
        p = p - 0.05 * ((update if shape[0] < shape[1] else update.T) + 0.1 * p)
    ours = moved(
        partial(GaLore, lr=0.05, rank=2, update_interval=3, weight_decay=0.1), start(*shape), gradients(*shape)
    )
    close(ours, p)


@pytest.mark.parametrize("shape", [(3, 5), (5, 3)])
@pytest.mark.parametrize("per_tensor", [False, True])
def test_apollo_scales_the_gradient_as_adam_does_in_a_random_subspace(shape: tuple[int, int], per_tensor: bool) -> None:
    parameter = nn.Parameter(torch.tensor(start(*shape), dtype=torch.float32))
    options = {"rank": 2, "update_interval": 3, "scale": 1.5, "per_tensor": per_tensor, "weight_decay": 0.1}
    optimizer = Apollo([parameter], lr=0.05, **options)  # type: ignore[arg-type]
    p, state, last = start(*shape), {}, None
    is_wide = shape[0] < shape[1]
    for t, g in enumerate(gradients(*shape), start=1):
        parameter.grad = torch.tensor(g, dtype=torch.float32)
        optimizer.step()
        projector = optimizer.state[parameter]["projector"].double().numpy()  # what it drew
        wide = g if is_wide else g.T
        low = projector @ wide
        axis = None if per_tensor else 0
        scales = numpy.sqrt((adam(state, low, t) ** 2).sum(axis)) / numpy.sqrt((low**2).sum(axis))
        update = wide * scales * 1.5
        if last is not None:
            update *= min(1, 1.01 * last / numpy.linalg.norm(update))
        last = numpy.linalg.norm(update)
        p = p - 0.05 * ((update if is_wide else update.T) + 0.1 * p)
    close(parameter.detach().numpy(), p)


def test_apollos_projections_are_made_anew_and_have_unit_length_on_average() -> None:
    parameter = nn.Parameter(torch.zeros(400, 500))
    optimizer = Apollo([parameter], rank=16, update_interval=2)
    drawn = []
    for _ in range(3):
        parameter.grad = torch.ones_like(parameter)
        optimizer.step()
        drawn.append(optimizer.state[parameter]["projector"].clone())
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[1], drawn[2])
    # E|P x|^2 = |x|^2 for N(0, 1/rank); 400 columns of 16 squares: the mean's deviation is sqrt(2 / 6400) = 0.018
    assert drawn[0].square().sum(0).mean() == pytest.approx(1, abs=0.09)


@pytest.mark.parametrize("shape", [(3, 5), (5, 3)])
def test_sinkgd_evens_out_rows_and_columns(shape: tuple[int, int]) -> None:
    p = start(*shape)
    m, n = shape
    for g in gradients(*shape):
        x = g
        for _ in range(5):
            x = numpy.sqrt(n) * numpy.diag(1 / numpy.linalg.norm(x, axis=1)) @ x
            x = numpy.sqrt(m) * x @ numpy.diag(1 / numpy.linalg.norm(x, axis=0))
        p = p - 0.1 * (0.05 * x + 0.2 * p)
    close(moved(partial(SinkGD, lr=0.1, weight_decay=0.2), start(*shape), gradients(*shape)), p)


def test_sinkgd_leaves_rows_of_zeros_alone() -> None:
    gradient = numpy.array([[1.0, 2.0], [0.0, 0.0]])
    weight = moved(partial(SinkGD, lr=1.0), numpy.zeros((2, 2)), [gradient])
    assert numpy.isfinite(weight).all()
    assert (weight[1] == 0).all()


@pytest.mark.parametrize("factory", OWN, ids=lambda factory: factory.func.__name__)
def test_gradients_of_zeros_harm_nothing(factory: Any) -> None:
    model = nn.ModuleDict({"hidden": nn.Linear(64, 48)})
    optimizer = factory(weight_decay_groups(model))
    for gradient in (1.0, 0.0, 0.0, 1.0, 0.0):
        for parameter in model.parameters():
            parameter.grad = torch.full_like(parameter, gradient)
            parameter.grad[0] = 0.0  # a row that never has one
        optimizer.step()
    assert all(parameter.isfinite().all() for parameter in model.parameters())


@pytest.mark.parametrize("factory", [partial(GaLore, rank=2), partial(Apollo, rank=2), SinkGD])
@pytest.mark.parametrize("shape", [(5,), (2, 3, 4)])
def test_what_is_no_matrix_is_moved_by_adamw(factory: Any, shape: tuple[int, ...]) -> None:
    p, state = start(*shape), {}
    for t, g in enumerate(gradients(*shape), start=1):
        p = p - 0.01 * (adam(state, g, t) + 0.2 * p)
    close(moved(partial(factory, lr=0.01, weight_decay=0.2), start(*shape), gradients(*shape)), p)


# ---- as one optimizer


def network(dtype: torch.dtype = torch.float32) -> nn.Module:
    torch.manual_seed(0)
    model = nn.ModuleDict({"embed": nn.Embedding(8, 6), "hidden": nn.Linear(6, 4), "norm": nn.LayerNorm(4)})
    model["lm_head"] = nn.Linear(4, 8, bias=False)
    return model.to(dtype)


def learn(model: nn.Module, optimizer: Any, steps: range) -> None:
    for step in steps:
        generator = torch.Generator().manual_seed(step)
        for parameter in model.parameters():
            parameter.grad = torch.randn(parameter.shape, generator=generator).to(parameter.dtype)
        optimizer.step()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("factory", OWN, ids=lambda factory: factory.func.__name__)
def test_a_resumed_optimizer_takes_the_same_steps(factory: Any, dtype: torch.dtype, tmp_path: Any) -> None:
    if factory.func is not muon:
        factory = partial(factory, stochastic_rounding=True)
    whole, first = network(dtype), network(dtype)
    learn(whole, factory(weight_decay_groups(whole)), range(7))
    optimizer = factory(weight_decay_groups(first))
    learn(first, optimizer, range(4))
    torch.save(optimizer.state_dict(), tmp_path / "optimizer.pt")
    resumed = copy.deepcopy(first)
    again = factory(weight_decay_groups(resumed))
    again.load_state_dict(torch.load(tmp_path / "optimizer.pt", weights_only=True))
    learn(resumed, again, range(4, 7))
    for expected, parameter in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(expected, parameter)


def test_muon_moves_hidden_matrices_and_adamw_the_rest() -> None:
    model, plain = network(), network()
    optimizer = muon(weight_decay_groups(model), lr=0.1, weight_decay=0.1, muon_lr=0.02)
    learn(model, optimizer, range(3))
    others = torch.optim.AdamW(weight_decay_groups(plain), lr=0.1, weight_decay=0.1, betas=(0.9, 0.95))
    hidden = Muon([plain["hidden"].weight], lr=0.02, weight_decay=0.1)
    kept = plain["hidden"].weight.detach().clone()
    learn(plain, others, range(3))
    with torch.no_grad():
        plain["hidden"].weight.copy_(kept)
    learn(plain, hidden, range(3))
    for (name, expected), parameter in zip(plain.named_parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(parameter, expected, msg=name)


@pytest.mark.parametrize("shape", [(4, 7), (7, 4), (5, 5)])
def test_muon_makes_nesterov_momentum_orthogonal(shape: tuple[int, int]) -> None:
    """By singular values: the quintic acts on each of them, and leaves singular vectors alone."""
    weight, steps = start(*shape), gradients(*shape)
    expected, average = weight.copy(), numpy.zeros(shape)
    for gradient in steps:
        average = 0.9 * average + 0.1 * gradient
        left, values, right = numpy.linalg.svd(0.1 * gradient + 0.9 * average, full_matrices=False)
        values = values / numpy.linalg.norm(values)
        for _ in range(5):
            values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
        expected = expected * (1 - 0.1 * 0.01) - 0.1 * 0.2 * max(shape) ** 0.5 * (left * values) @ right
    ours = moved(partial(Muon, lr=0.1, weight_decay=0.01, momentum=0.9), weight, steps)
    numpy.testing.assert_allclose(ours, expected, rtol=1e-3, atol=1e-4)  # the quintic enlarges float32's errors
    theirs = moved(
        partial(torch.optim.Muon, lr=0.1, weight_decay=0.01, momentum=0.9, adjust_lr_fn="match_rms_adamw"),
        weight,
        steps,
    )
    numpy.testing.assert_allclose(ours, theirs, atol=0.05)  # torch iterates in bfloat16


def test_a_schedule_sees_a_hybrid_as_one_optimizer() -> None:
    model = network()
    optimizer = hybrid(weight_decay_groups(model), matrices=partial(SinkGD, lr=1.0), others=partial(Lion, lr=0.5))
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5**step)
    learn(model, optimizer, range(1))
    scheduler.step()
    assert [group["lr"] for part in optimizer.optimizers for group in part.param_groups] == [0.5, 0.25, 0.25]
    assert len(optimizer.state_dict()["state"]) == 6


def test_a_hybrid_without_parts_is_refused() -> None:
    with pytest.raises(ValueError, match="must not be empty"):
        Hybrid([])


# ---- groups by pattern


def test_the_first_pattern_that_matches_decides() -> None:
    groups = {r"^embed": {"lr": 0.5}, r"weight": {"lr": 0.25, "weight_decay": 0.3}}
    made = grouped(weight_decay_groups(network()), optimizer=partial(Lion, lr=1.0), groups=groups, others={})
    by_name = {
        name: (group["lr"], group["weight_decay"]) for group in made.param_groups for name in group["param_names"]
    }
    assert by_name == {
        "embed.weight": (0.5, 0.0),  # its weight decay comes from the trainer
        "hidden.weight": (0.25, 0.3),
        "norm.weight": (0.25, 0.3),
        "lm_head.weight": (0.25, 0.3),
        "hidden.bias": (1.0, 0.0),
        "norm.bias": (1.0, 0.0),
    }


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ({"weight": {}, "bias": {}, "q_proj": {}}, r"no parameter matches 'q_proj'; there are hidden\.weight, "),
        ({"weight": {}}, r"no pattern matches hidden\.bias, norm\.bias; add one, or `others: \{\}`"),
        ({"(": {}}, r"'\(' is no regular expression"),
    ],
)
def test_mistakes_in_patterns_are_named(groups: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        grouped(weight_decay_groups(network()), optimizer=Lion, groups=groups)


def test_groups_need_names() -> None:
    with pytest.raises(ValueError, match="must be groups with param_names"):
        grouped([{"params": list(network().parameters())}], optimizer=Lion, groups={"weight": {}})


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        (partial(Lion, lr=-1.0), r"lr \(-1\.0\) must not be negative"),
        (partial(Lion, betas=(0.9, 1.0)), r"betas \(\(0\.9, 1\.0\)\) must be two numbers of at least 0 and below 1"),
        (partial(Adafactor, decay_rate=0.8), r"decay_rate \(0\.8\) must be at least -1 and below 0"),
        (partial(Apollo, rank=0), r"rank \(0\) must be at least 1"),
        (partial(Apollo, growth_limit=1.0), r"growth_limit \(1\.0\) must be None or above 1"),
        (partial(SinkGD, iterations=0), r"iterations \(0\) must be at least 1"),
        (partial(GaLore, update_interval=0), r"update_interval \(0\) must be at least 1"),
    ],
)
def test_settings_are_checked(factory: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        factory([nn.Parameter(torch.zeros(2))])


# ---- bfloat16


def test_rounding_by_chance_reaches_only_neighbours_with_the_exact_odds() -> None:
    # 1 + 77/65536 of the step between 1 and its upper neighbour, exactly: 77 of 65536 noises carry
    value = torch.tensor([0x3F800000 + 77], dtype=torch.int32).view(torch.float32)
    count = 400_000
    rounded = stochastic_round(value.expand(count), generator=torch.Generator().manual_seed(0)).float()
    assert set(rounded.unique().tolist()) == {1.0, 1.0078125}
    ups = int((rounded > 1).sum())
    expected, deviation = count * 77 / 65536, (count * 77 / 65536) ** 0.5
    assert abs(ups - expected) < 4 * deviation


def test_rounding_by_chance_has_no_bias() -> None:
    values = torch.randn(2000, generator=torch.Generator().manual_seed(1))
    generator = torch.Generator().manual_seed(2)
    rounds = 400
    mean = sum(stochastic_round(values, generator=generator).double() for _ in range(rounds)) / rounds
    unit = torch.exp2(torch.floor(torch.log2(values.abs())) - 7).double()
    errors = (mean - values.double()) / unit
    # each error has a deviation of at most 0.5 / sqrt(400) = 0.025; the mean of 2000 one of 0.00056
    assert errors.abs().max() < 0.125
    assert errors.mean().abs() < 0.0023


def test_rounding_keeps_what_needs_none() -> None:
    exact = torch.tensor([0.0, -0.0, 1.0, -2.5, torch.inf, -torch.inf, torch.nan])
    rounded = stochastic_round(exact).float()
    assert torch.equal(rounded.nan_to_num(7), exact.nan_to_num(7))
    assert torch.equal(torch.signbit(rounded[:6]), torch.signbit(exact[:6]))
    with pytest.raises(TypeError, match="must be float32"):
        stochastic_round(torch.zeros(2, dtype=torch.float64))


def test_small_steps_and_small_decay_arrive_only_by_chance() -> None:
    """A rate of 1e-4 is 1/78 of the distance between 1 and its neighbours: to nearest, nothing ever moves."""
    results = []
    for by_chance in (False, True):
        parameter = nn.Parameter(torch.ones(4000, dtype=torch.bfloat16))
        optimizer = Lion([parameter], lr=1e-4, weight_decay=1.0, stochastic_rounding=by_chance)
        for _ in range(50):
            parameter.grad = torch.ones_like(parameter)
            optimizer.step()
        results.append(parameter.float().mean().item())
    assert results[0] == 1
    # sign and decay: 50 steps of p <- p (1 - 1e-4) - 1e-4
    assert results[1] == pytest.approx(1 - 50 * 2e-4, abs=1e-3)


def test_replicas_round_alike() -> None:
    models = [network(torch.bfloat16) for _ in range(2)]
    for model in models:
        torch.randn(3)  # another state of the global generator
        learn(model, Lion(weight_decay_groups(model), lr=1e-3, stochastic_rounding=True), range(3))
    assert all(torch.equal(a, b) for a, b in zip(*(model.parameters() for model in models), strict=True))
