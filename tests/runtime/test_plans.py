"""Serving plans against models that exist: what fits is silent, what does not is named."""

import pytest
from fgc_runtime.models import PlanError, plan_problems, validate_vllm_plans
from fgc_runtime.models.opening import on_meta
from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig, PreTrainedModel, Qwen3Config

SIZES = {"vocab_size": 32, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}


@pytest.fixture
def model() -> PreTrainedModel:
    return on_meta(AutoModelForCausalLM.from_config, LlamaConfig(intermediate_size=32, **SIZES))


def test_the_plans_of_transformers_own_models_fit(model: PreTrainedModel) -> None:
    qwen = on_meta(AutoModelForCausalLM.from_config, Qwen3Config(intermediate_size=32, **SIZES))
    for each in (model, qwen):  # Qwen3's norms of queries have a style that vLLM never asks for
        assert validate_vllm_plans(each) is True
        assert validate_vllm_plans(each, tp_plan=each._tp_plan, pp_plan=each._pp_plan, strict=True) is True


@pytest.mark.parametrize(
    ("plans", "message"),
    [
        (
            {"tp_plan": {"layers.*.attention.q_proj": "colwise"}},
            "`layers.*.attention.q_proj` matches no linear layer",
        ),
        ({"tp_plan": {"layers.*.mlp.up_proj": "columnwise"}}, "does not know the style `columnwise`"),
        ({"pp_plan": {"layers": ([], []), "head": ([], [])}}, "`head` is no part of LlamaModel"),
        ({"pp_plan": {"norm": ([], []), "layers": ([], [])}}, "must stand in the order of the model"),
        ({"pp_plan": {"embed_tokens": ([], [])}}, "leaves out `layers`"),
    ],
)
def test_what_does_not_fit_raises_or_is_returned(model: PreTrainedModel, plans: dict, message: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(PlanError) as caught:
        validate_vllm_plans(model, **plans)
    assert message in str(caught.value)
    assert plan_problems(model, **plans) == list(caught.value.problems)
    assert validate_vllm_plans(model, strict=False, **plans) is False


def test_a_plan_of_the_whole_model_is_checked_below_its_base(model: PreTrainedModel) -> None:
    tp_plan = {**model._tp_plan, "model.layers.*.mlp.upper": "colwise"}
    assert plan_problems(model, tp_plan, model._pp_plan) == [
        "tp_plan: `layers.*.mlp.upper` matches no linear layer of LlamaModel"
    ]


def test_attention_that_is_not_asked_for_through_the_registry_is_found(model: PreTrainedModel) -> None:
    class Silent(type(model.model.layers[0].self_attn)):  # type: ignore[misc]
        def forward(self, hidden_states: object, **kwargs: object) -> object:
            return hidden_states

    for layer in model.model.layers:
        layer.self_attn.__class__ = Silent
    [problem] = plan_problems(model)
    assert problem.startswith("LlamaDecoderLayer must call attention through ALL_ATTENTION_FUNCTIONS once")


def test_layers_are_looked_for_below_the_base_model() -> None:
    gpt2 = on_meta(AutoModelForCausalLM.from_config, GPT2Config(**SIZES))
    assert [item for item in plan_problems(gpt2, tp_plan={}, pp_plan={}) if "ModuleList" in item] == []
