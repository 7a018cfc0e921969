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
ARCHITECTURES = ("gemma", "gpt2", "llama", "mistral", "qwen3")

Construct = Callable[..., PreTrainedModel]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "architecture" in metafunc.fixturenames:
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
def packages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder with a package for every architecture, importable."""
    folder = tmp_path_factory.mktemp("packages")
    for name in ARCHITECTURES:
        write_package(f"-- extends 'models/{name}/{name}-test.yaml'\n", folder)
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))


@pytest.fixture
def construct(packages: Path) -> Construct:
    """Construct the model of an architecture, with fields of its configuration changed."""

    def run(architecture: str, **fields: object) -> PreTrainedModel:
        module = import_module(f"{architecture}_test")
        title = f"{architecture.capitalize()}Test"
        torch.manual_seed(0)
        model = getattr(module, f"{title}ForCausalLM")(getattr(module, f"{title}Config")(**fields))
        assert isinstance(model, PreTrainedModel)
        return model.eval()

    return run
