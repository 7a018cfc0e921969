"""The model templates through the real front end, and children that change a number, a part, a layer."""

import re
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest
from fgc.diagnostics import Diagnostic, has_errors, render_text
from fgc.emit.model import check_model_package, expand_model_package
from fgc.text import Source
from fgc.workspace.facts import collect_facts
from fgc.workspace.session import Session

ROOT = Path(__file__).parents[2]
TEMPLATES = ROOT / "stdlib" / "fgc_stdlib"
COMPONENTS = ROOT / "modelsrc" / "fgc_models"

Result = tuple[dict[str, str], tuple[Diagnostic, ...]]
Build = Callable[[str], Result]


def read(path: str) -> Source | None:
    file = Path(path)
    return Source(path, file.read_text(encoding="utf-8"), path) if file.is_file() else None


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """The files of the model that a configuration describes, and all findings."""

    def run(text: str) -> Result:
        path = tmp_path / "config.yaml"
        path.write_text(dedent(text), encoding="utf-8")
        session = Session([tmp_path, TEMPLATES])
        compilation = session.compile(path, "config.yaml", {}, collect_facts(tmp_path, None))
        graph = compilation.graph
        if has_errors(compilation.diagnostics):
            return {}, compilation.diagnostics
        outcome = expand_model_package(graph, graph.targets["model"], read, [str(COMPONENTS)], "config.yaml")
        return dict(outcome.value.files if outcome.value else {}), (*compilation.diagnostics, *outcome.diagnostics)

    return run


def good(result: Result) -> tuple[str, str]:
    """Configuration and model file of a build without findings."""
    files, diagnostics = result
    assert not diagnostics, render_text(diagnostics)
    by_kind = {name.rpartition("/")[2].split("_")[0]: text for name, text in files.items()}
    return by_kind["configuration"], by_kind["modeling"]


# the others take a model from somewhere else, or have blocks that are a child's to fill
NO_FAMILIES = {"base_language_model", "from_project", "pretrained", "pretrained_config"}
FAMILIES = sorted({path.stem for path in (TEMPLATES / "models").glob("*.yaml")} - NO_FAMILIES)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_model_template_builds_without_findings(build: Build, name: str) -> None:
    good(build(f"-- extends 'models/{name}.yaml'\n"))


FRAGMENTS = ("initializers", "norms", "positions")
SIZES = sorted(path for path in (TEMPLATES / "models").glob("*/*.yaml") if path.parent.name not in FRAGMENTS)


@pytest.mark.parametrize("name", [f"{path.parent.name}/{path.stem}" for path in SIZES])
def test_every_size_is_described_without_findings_and_named_after_its_file(tmp_path: Path, name: str) -> None:
    (tmp_path / "config.yaml").write_text(f"-- extends 'models/{name}.yaml'\n", encoding="utf-8")
    session = Session([tmp_path, TEMPLATES])
    compilation = session.compile(tmp_path / "config.yaml", "config.yaml", {}, collect_facts(tmp_path, None))
    graph = compilation.graph
    checked = check_model_package(graph, graph.targets["model"], read, [str(COMPONENTS)])
    found = (
        *compilation.diagnostics,
        *checked.diagnostics,
    )
    assert not found, render_text(found)
    assert checked.value is not None
    assert checked.value.name == re.sub("[-.]", "_", name.rpartition("/")[2])


def test_a_child_changes_one_number(build: Build) -> None:
    configuration, _ = good(
        build("""\
            -- extends 'models/llama.yaml'
            [model_config]
                == super()
                hidden_size: 512
            """)
    )
    assert "    hidden_size: int = 512\n" in configuration


def test_a_child_names_the_model(build: Build) -> None:
    files, _ = build("""\
        -- extends 'models/llama.yaml'
        [model_code_generator]
            == super()
            name: storyteller
        """)
    assert "storyteller/modeling_storyteller.py" in files
    assert "class StorytellerForCausalLM(StorytellerPreTrainedModel, GenerationMixin):" in "".join(files.values())


def test_a_child_adds_query_and_key_norms(build: Build) -> None:
    _, modeling = good(
        build("""\
            -- extends 'models/llama.yaml'
            [attention]
                == super()
                qk_norm: !partial:.norms:RMSNorm
                    hidden_size: !var head_dim
                    eps: !var rms_norm_eps
            """)
    )
    assert "self.q_norm = RMSNorm(config.head_dim, eps=config.rms_norm_eps)" in modeling
    assert "query, key = self.q_norm(query), self.k_norm(key)" in modeling


def test_a_child_swaps_the_norm_for_one_of_a_library(build: Build) -> None:
    _, modeling = good(
        build("""\
            -- extends 'models/llama.yaml'
            [norm]
            .define: &norm !partial:torch.nn:LayerNorm
                arg0: !var hidden_size
                eps: !var rms_norm_eps
            """)
    )
    assert "self.norm = nn.LayerNorm(config.hidden_size, eps=config.rms_norm_eps)" in modeling
    assert "RMSNorm" not in modeling


def test_a_child_does_without_positions(build: Build) -> None:
    _, modeling = good(
        build("""\
            -- extends 'models/llama.yaml'
            [positional_encoding]
            .define: &positional_encoding null
            [attention]
                == super()
                rotary: false
            """)
    )
    assert "rotary" not in modeling.lower()


def test_a_child_brings_a_component_of_its_own(build: Build, tmp_path: Path) -> None:
    component = """\
        from torch import Tensor, nn


        class SquaredReluMLP(nn.Module):
            def __init__(self, *, hidden_size: int, intermediate_size: int) -> None:
                super().__init__()
                self.up_proj = nn.Linear(hidden_size, intermediate_size, bias=False)
                self.down_proj = nn.Linear(intermediate_size, hidden_size, bias=False)

            def forward(self, hidden_states: Tensor) -> Tensor:
                return self.down_proj(self.up_proj(hidden_states).relu().square())
        """
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "squared.py").write_text(dedent(component), encoding="utf-8")
    _, modeling = good(
        build(f"""\
            -- extends 'models/llama.yaml'
            [feed_forward]
            .define: &feed_forward !partial:.squared:SquaredReluMLP
                hidden_size: !var hidden_size
                intermediate_size: !var intermediate_size
                submodule_searchpath: [ "{tmp_path / "parts"}" ]
            """)
    )
    assert "self.mlp = SquaredReluMLP(" in modeling


def test_a_misspelt_keyword_is_told_at_its_place_in_the_child(build: Build) -> None:
    _, [found] = build("""\
        -- extends 'models/llama.yaml'
        [attention]
            == super()
            num_kw_heads: 2
        """)
    assert (found.code, str(found.span.first), found.help) == (
        "FGC501",
        "Position(line=4, column=5)",
        "did you mean `num_kv_heads`?",
    )


def test_the_components_announce_themselves() -> None:
    import fgc_models

    modules = {path.stem for path in COMPONENTS.glob("*.py")} - {"__init__"}
    assert set(fgc_models.__all__) == modules
