"""The seven kinds of attention of examples/tiny_experiments/attention, built and at work."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import pytest
import torch
from fgc.cli.main import main
from transformers import PreTrainedModel

PROJECT = Path(__file__).parents[2] / "examples/tiny_experiments/attention"
KINDS = sorted(path.stem for path in (PROJECT / "templates/configs").glob("*.yaml"))
Model = Callable[[str], PreTrainedModel]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All configurations as `fgc build` writes them."""
    folder = tmp_path_factory.mktemp("attention")
    for kind in KINDS:
        assert main(["-p", str(PROJECT), "-t", f"{kind}.yaml", "build", "-o", str(folder / kind)]) == 0
    return folder


@pytest.fixture(scope="module")
def model(folder: Path) -> Iterator[Model]:
    """The model of a configuration."""
    for kind in KINDS:
        sys.path.insert(0, str(folder / kind))

    def construct(kind: str) -> PreTrainedModel:
        module = import_module(kind)
        title = "".join(word.capitalize() for word in kind.split("_"))
        torch.manual_seed(0)
        config = getattr(module, f"{title}Config")(vocab_size=300, pad_token_id=None)
        found = getattr(module, f"{title}ForCausalLM")(config)
        assert isinstance(found, PreTrainedModel)
        return found

    yield construct
    for kind in KINDS:
        sys.path.remove(str(folder / kind))
        for name in [name for name in sys.modules if name.split(".")[0] == kind]:
            del sys.modules[name]


def tokens() -> torch.Tensor:
    return torch.randint(0, 300, (2, 80), generator=torch.Generator().manual_seed(1))


def test_there_are_seven() -> None:
    assert KINDS == ["alibi", "gqa", "mha", "mqa", "nope", "qk_norm", "sliding_window"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_few_steps_lower_the_loss(model: Model, kind: str) -> None:
    net = model(kind).train()
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3)
    losses = []
    for _ in range(5):
        loss = net(tokens(), labels=tokens()).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.1


@pytest.mark.parametrize(("kind", "num_kv_heads"), [("mha", 8), ("gqa", 2), ("mqa", 1)])
def test_the_cache_holds_as_many_heads_as_there_are_of_keys_and_values(
    model: Model, kind: str, num_kv_heads: int
) -> None:
    cache = model(kind).eval()(tokens()).past_key_values
    assert cache.layers[0].keys.shape[1] == num_kv_heads


def first_token_matters_to(net: PreTrainedModel, position: int) -> bool:
    changed = tokens()
    changed[:, 0] = (changed[:, 0] + 1) % 300
    before, after = (net.eval()(x).logits[:, position] for x in (tokens(), changed))
    return not torch.equal(before, after)


def test_four_layers_with_a_window_of_32_see_no_further_than_their_windows_together(model: Model) -> None:
    net = model("sliding_window")
    assert first_token_matters_to(net, 79)  # 4 windows of 32 reach back 4 * 31 positions
    net.model.layers = net.model.layers[:2]
    assert first_token_matters_to(net, 62)
    assert not first_token_matters_to(net, 63)
    assert first_token_matters_to(model("mha"), 79)


def test_without_positions_what_came_before_may_be_reordered(model: Model) -> None:
    swapped = tokens()[:, [1, 0, *range(2, 80)]]
    for kind, is_same in (("nope", True), ("mha", False), ("alibi", False)):
        net = model(kind).eval()
        net.model.layers = net.model.layers[:1]  # with more layers, positions are learned from the mask
        before, after = net(tokens()).logits[:, -1], net(swapped).logits[:, -1]
        assert torch.allclose(before, after, atol=1e-5) is is_same, kind


def test_scores_with_query_and_key_norms_do_not_grow_with_the_weights(model: Model) -> None:
    for kind, is_same in (("qk_norm", True), ("mha", False)):
        net = model(kind).eval()
        before = net(tokens()).logits
        with torch.no_grad():
            for layer in net.model.layers:
                layer.self_attn.q_proj.weight *= 100.0
        assert torch.allclose(net(tokens()).logits, before, atol=1e-3) is is_same, kind


def test_the_program_of_one_trains(folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(folder / "alibi/train.py"), "--max-steps", "2"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    output = tmp_path / "output_models/alibi"
    assert (output / "model.safetensors").is_file() and (output / "modeling_alibi.py").is_file()
