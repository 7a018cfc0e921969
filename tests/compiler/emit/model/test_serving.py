"""Checks that what vLLM would refuse or get wrong is found at its place; what it runs has no findings."""

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest
from fgc.diagnostics import Diagnostic, has_errors, render_text
from fgc.pipeline.serving import check_serving
from fgc.workspace.facts import collect_facts
from fgc.workspace.python_files import PythonFiles
from fgc.workspace.session import Session
from fgc.workspace.store import FileStore

ROOT = Path(__file__).parents[4]
TEMPLATES = ROOT / "stdlib" / "fgc_stdlib"
MODELS = sorted(
    path.stem
    for path in (TEMPLATES / "models").glob("*.yaml")
    if not path.stem.startswith(("base_", "from_", "pretrained"))
)
Check = Callable[..., list[Diagnostic]]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """The findings of `fgc check --vllm` alone, for a child of the Llama template."""

    def run(text: str, *, template: str = "llama", processes: int = 1) -> list[Diagnostic]:
        path = tmp_path / "config.yaml"
        path.write_text(f"-- extends 'models/{template}.yaml'\n" + dedent(text), encoding="utf-8")
        store = FileStore()
        compilation = Session([tmp_path, TEMPLATES], store).compile(
            path, "config.yaml", {}, collect_facts(tmp_path, None)
        )
        assert not has_errors(compilation.diagnostics), render_text(compilation.diagnostics)
        return check_serving(compilation.graph, PythonFiles(tmp_path, store), tensor_parallel_size=processes)

    return run


EXPECTED = {
    "deepone": ["FGC805"],  # ALiBi
    "deepseek_v3": ["FGC805"],  # latent attention
    "gpt_oss": ["FGC810"],  # biases of experts
}


@pytest.mark.parametrize("template", MODELS)
def test_every_library_model_is_known_to_vllm_but_for_what_it_cannot_do(check: Check, template: str) -> None:
    assert [finding.code for finding in check("", template=template)] == EXPECTED.get(template, [])


BAD = {
    "inherited plan of a part that was swapped": (
        """\
        [feed_forward]
        .define: &feed_forward !partial:.feed_forward:MLP
            hidden_size: !var hidden_size
            intermediate_size: !var intermediate_size
            activation: !var hidden_act
        """,
        "FGC801",
        None,
        None,
    ),
    "part of the first stage behind the layers": (
        """\
        [pp_plan]
            pp_plan:
                layers: [ [ hidden_states, attention_mask ], [ hidden_states ] ]
                norm: [ [ hidden_states ], [ hidden_states ] ]
                embed_tokens: [ [ input_ids ], [ inputs_embeds ] ]
        """,
        "FGC809",
        (6, "embed_tokens"),
        "name them in the model's order: embed_tokens, layers, norm",
    ),
    "part of the last stage before the layers": (
        """\
        [pp_plan]
            pp_plan:
                embed_tokens: [ [ input_ids ], [ inputs_embeds ] ]
                norm: [ [ hidden_states ], [ hidden_states ] ]
                layers: [ [ hidden_states, attention_mask ], [ hidden_states ] ]
        """,
        "FGC809",
        (5, "norm"),
        None,
    ),
    "style": (
        """\
        [tp_plan]
            tp_plan:
                layers.*.mlp.up_proj: columnwise
        """,
        "FGC802",
        (4, "layers.*.mlp.up_proj"),
        "did you mean `colwise`?",
    ),
    "plan without layers": (
        """\
        [pp_plan]
            pp_plan:
                embed_tokens: [ [ input_ids ], [ inputs_embeds ] ]
        """,
        "FGC803",
        (4, "embed_tokens"),
        None,
    ),
    "soft cap under a name of its own": (
        """\
        [model_config]
            == super()
            score_cap: 50.0
        [attention]
            == super()
            softcap: !var score_cap
        [model_code_generator]
            == super()
            attention_implementations: [ eager, flex_attention, others ]
        """,
        "FGC805",
        None,
        None,
    ),
    "head of another kind": (
        """\
        [lm_head]
        .define: &lm_head !partial:torch.nn:Bilinear
            arg0: !var hidden_size
            arg1: !var hidden_size
            arg2: !var vocab_size
        """,
        "FGC807",
        None,
        None,
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_each_rule_finds_its_mistake_at_its_place(check: Check, case: str) -> None:
    text, code, place, help = BAD[case]
    found = check(text)
    assert [finding.code for finding in found] == [code], render_text(found)
    if place is not None:
        line, name = place
        assert (found[0].span.first.line, found[0].span.text) == (line, name)
        assert found[0].help == help or help is None


ROUTER = """\
[router]
.define: &router !partial:.moe:TopKRouter
    hidden_size: !var hidden_size
    num_experts: !var num_local_experts
    {}
"""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[model_config]\n    == super()\n    hidden_act: gelu\n", "the activation `silu`, and these `gelu`"),
        (ROUTER.format("top_k: 4"), "`top_k` from the configuration field `num_experts_per_tok`"),
        (
            ROUTER.format("top_k: !var num_experts_per_tok\n    normalize: false"),
            "vLLM normalizes scores of experts: True, because `top_k` is 2; this router: False",
        ),
        (
            "[model_config]\n    == super()\n    norm_topk_prob: false\n"
            + ROUTER.format("top_k: !var num_experts_per_tok\n    normalize: !var norm_topk_prob"),
            None,
        ),
        (
            "[model_config]\n    == super()\n    num_experts: 4\n    extra: !var num_experts\n",
            "`num_experts` from the configuration field `num_experts`, which has another value here",
        ),
    ],
)
def test_experts_must_be_those_that_vllm_learns_of(check: Check, text: str, message: str | None) -> None:
    found = check(text, template="mixtral")
    assert [finding.code for finding in found] == (["FGC810"] if message else []), render_text(found)
    assert message is None or message in found[0].message


PLAN = """\
[model_config]
    == super()
    tie_word_embeddings: true
[pp_plan]
    pp_plan:
        layers: [ [ hidden_states, attention_mask ], [ hidden_states ] ]
        embed_tokens: [ [ input_ids ], [ inputs_embeds ] ]
"""


def test_tied_weights_need_the_embedding_before_the_layers(check: Check) -> None:
    [finding] = check(PLAN)
    assert (finding.code, finding.severity.value) == ("FGC809", "error")
    assert finding.message == (
        "`tie_word_embeddings` is True, so the first and the last stage need `embed_tokens`, and `pp_plan` names it "
        "after `layers`, only for the last stage"
    )
    assert check("[model_config]\n    == super()\n    tie_word_embeddings: true\n") == []


ATTENTION = """\
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedConfig
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS


class OwnAttention(nn.Module):
    def __init__(self, layer_idx: int, *, config: PreTrainedConfig, hidden_size: int) -> None:
        super().__init__()
        self.config = config
        self.layer_idx = layer_idx
        self.scaling = 0.125
        self.qkv_proj = nn.Linear(hidden_size, 3 * hidden_size)

    def forward(self, hidden_states: Tensor, attention_mask: Tensor | None = None, **kwargs: Any) -> Any:
        query, key, value = self.qkv_proj(hidden_states).chunk(3, dim=-1)
        attend = ALL_ATTENTION_FUNCTIONS.get_interface(self.config._attn_implementation, print)
        return attend(self, query, key, value, attention_mask, scaling=self.scaling, **kwargs)
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("", "", None),
        ("attend = ALL_ATTENTION_FUNCTIONS.get_interface(self.config._attn_implementation, print)", "attend = print",
         "a layer must call attention through `ALL_ATTENTION_FUNCTIONS` once, and `PreNormLayer` does 0 times"),
        (", **kwargs)\n", ")\n", "`OwnAttention.forward` does not hand its `**kwargs` on"),
        ("self.layer_idx = layer_idx", "self.index = layer_idx", "`OwnAttention` has no `layer_idx`"),
        ("scaling=self.scaling", "scaling=2 * self.scaling", "`scaling=2 * self.scaling` must be a number"),
    ],
)  # fmt: skip
def test_an_attention_of_ones_own_must_be_one_that_vllm_can_take_over(
    check: Check, tmp_path: Path, old: str, new: str, message: str | None
) -> None:
    (tmp_path / "own.py").write_text(ATTENTION.replace(old, new) if old else ATTENTION, encoding="utf-8")
    found = check(
        f"""\
        [attention]
        .define: &attention !partial:.own:OwnAttention
            hidden_size: !var hidden_size
            submodule_searchpath: [ "{tmp_path}" ]
        [tp_plan]
            tp_plan:
                layers.*.mlp.up_proj: colwise
        """
    )
    assert [finding.code for finding in found] == (["FGC804"] if message else []), render_text(found)
    assert message is None or message in found[0].message


@pytest.mark.parametrize(
    ("processes", "fields"), [(1, []), (2, []), (3, ["num_attention_heads", "num_key_value_heads"])]
)
def test_sizes_must_divide_over_the_processes(check: Check, processes: int, fields: list[str]) -> None:
    found = check("[model_config]\n    == super()\n    num_key_value_heads: 2\n", processes=processes)
    assert [(finding.code, finding.message.split("`")[1]) for finding in found] == [("FGC808", name) for name in fields]


def test_few_key_and_value_heads_are_copied(check: Check) -> None:
    assert check("[model_config]\n    == super()\n    num_key_value_heads: 2\n", processes=4) == []
