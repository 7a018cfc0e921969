"""The model templates as packages: every architecture in its test size, generated once, imported, constructed."""

import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import pytest
import torch
from fgc.diagnostics import has_errors, render_text
from fgc.emit.model import expand_model_package
from fgc.text import Source
from fgc.workspace.facts import collect_facts
from fgc.workspace.session import Session
from transformers import PreTrainedModel

ROOT = Path(__file__).parents[2]
TEMPLATES = ROOT / "stdlib" / "fgc_stdlib"
COMPONENTS = ROOT / "modelsrc" / "fgc_models"
ARCHITECTURES = (
    "deepone",
    "deepseek_v3",
    "gemma",
    "gemma2",
    "gemma3",
    "glm4_moe",
    "gpt2",
    "gpt_oss",
    "llama",
    "mistral",
    "mixtral",
    "olmo2",
    "qwen2",
    "qwen3",
    "transformer",
)

Construct = Callable[..., PreTrainedModel]


def title_of(architecture: str) -> str:
    """The beginning of the class names in the package of an architecture's test size."""
    return "".join(map(str.capitalize, architecture.split("_"))) + "Test"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "architecture" in metafunc.fixturenames and not any(
        "architecture" in marker.args[0] for marker in metafunc.definition.iter_markers("parametrize")
    ):
        metafunc.parametrize("architecture", ARCHITECTURES)


def read(path: str) -> Source | None:
    file = Path(path)
    return Source(path, file.read_text(encoding="utf-8"), path) if file.is_file() else None


def write_package(text: str, folder: Path) -> None:
    """Generate the package of the model that a configuration describes into a folder."""
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    compilation = Session([folder, TEMPLATES]).compile(path, "config.yaml", {}, collect_facts(folder, None))
    assert not has_errors(compilation.diagnostics), render_text(compilation.diagnostics)
    graph = compilation.graph
    outcome = expand_model_package(graph, graph.targets["model"], read, [str(COMPONENTS)], "config.yaml")
    assert outcome.value is not None, render_text(outcome.diagnostics)
    for name, content in outcome.value.files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")


@pytest.fixture(scope="session")
def write() -> Callable[[str, Path], None]:
    """`write_package`."""
    return write_package


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder with a package for every architecture, importable."""
    folder = tmp_path_factory.mktemp("packages")
    for name in ARCHITECTURES:
        write_package(f"-- extends 'models/{name}/{name}-test.yaml'\n", folder)
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """Sums come out the same in every process."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def architectures() -> tuple[str, ...]:
    return ARCHITECTURES


@pytest.fixture(scope="session")
def construct(packages: Path) -> Construct:
    """Construct the model of an architecture, with fields of its configuration changed.

    `is_spread` moves the weights away from where they begin.
    """

    def run(
        architecture: str, *, attn_implementation: str | None = None, is_spread: bool = False, **fields: object
    ) -> PreTrainedModel:
        module = import_module(f"{architecture}_test")
        title = title_of(architecture)
        torch.manual_seed(0)
        model = getattr(module, f"{title}ForCausalLM")(getattr(module, f"{title}Config")(**fields))
        assert isinstance(model, PreTrainedModel)
        if attn_implementation is not None:
            model.set_attn_implementation(attn_implementation)
        if is_spread:
            _spread(model)
        return model.eval()

    return run


@pytest.fixture(scope="session")
def saved(construct: Construct, architectures: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every model saved, and beside it a prompt, its logits, and the tokens that follow."""
    folder = tmp_path_factory.mktemp("saved")
    options = {"max_new_tokens": 8, "do_sample": False, "pad_token_id": 0, "eos_token_id": -1}
    for architecture in architectures:
        model = construct(architecture, attn_implementation="eager", is_spread=True)
        model.save_pretrained(folder / architecture)
        x = torch.randint(3, 256, (2, 40), generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            logits = model(x).logits
        generated = model.generate(x, attention_mask=torch.ones_like(x), **options)
        torch.save((x, logits, generated), folder / architecture / "expected.pt")
    return folder


def _spread(model: PreTrainedModel) -> None:
    """Weights that matter: norms and biases away from where they begin, matrices large enough to be told apart."""
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
