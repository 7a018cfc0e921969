"""Every mistake in a model's description is a finding at its place in the template."""

from collections.abc import Callable

import pytest
from fgc.diagnostics import Diagnostic, Outcome
from fgc.emit.model import ModelExpansion

Expand = Callable[..., Outcome[ModelExpansion | None]]


@pytest.fixture
def findings(expand: Expand, llama: str) -> Callable[..., list[Diagnostic]]:
    """Returns what is wrong after texts of the Llama's description were replaced."""

    def run(*replacements: tuple[str, str]) -> list[Diagnostic]:
        text = llama
        for old, new in replacements:
            assert old in text, f"{old} is not in the description"
            text = text.replace(old, new, 1)
        outcome = expand(text)
        assert (outcome.value is None) == bool(outcome.diagnostics)
        return list(outcome.diagnostics)

    return run


def brief(finding: Diagnostic) -> tuple[str, str, str | None]:
    first = finding.span.first
    return f"{first.line}:{first.column} {finding.code}", finding.message, finding.help


Findings = Callable[..., list[Diagnostic]]


def test_the_description_itself_has_no_findings(findings: Findings) -> None:
    assert findings() == []


def test_an_unknown_keyword_names_the_nearest_parameter_and_the_python_class(findings: Findings) -> None:
    [found] = findings(("num_kv_heads:", "num_kw_heads:"))
    assert brief(found) == (
        "28:5 FGC501",
        "`Attention` has no parameter `num_kw_heads`",
        "did you mean `num_kv_heads`?",
    )
    [related] = found.related
    assert related.span.text == "Attention"
    assert related.span.source.name.endswith("modelsrc/fgc_models/attention.py")


def test_a_missing_argument_is_told_at_the_component_with_the_parameter_as_second_place(findings: Findings) -> None:
    [found] = findings(("    num_kv_heads: !var num_key_value_heads\n", ""))
    assert brief(found) == ("25:41 FGC503", "`Attention` needs the argument `num_kv_heads`", None)
    assert found.related[0].span.text == "num_kv_heads"


def test_an_unknown_component_names_the_nearest_one(findings: Findings) -> None:
    [found] = findings((".attention:Attention", ".attention:Atention"))
    assert brief(found)[0] == "25:41 FGC502"
    assert found.help == "did you mean `Attention`?"


def test_an_unknown_component_file_names_the_nearest_one(findings: Findings) -> None:
    [found] = findings((".feed_forward:", ".feedforward:"))
    assert brief(found) == (
        "32:33 FGC502",
        "there is no component file `feedforward`",
        "did you mean `feed_forward`?",
    )


@pytest.mark.parametrize("name", ["llama", "qwen2_moe", "canary_decoder", "t5"])
def test_a_package_cannot_have_the_name_of_a_type_of_transformers(findings: Findings, name: str) -> None:
    [found] = findings(("name: tiny_llama", f"name: {name}"))
    assert brief(found) == (
        "59:11 FGC413",
        f"`{name}` is a `model_type` of transformers: its own class would load this model, not the package",
        f"choose another name, such as `my_{name}`",
    )


def test_a_variable_that_is_no_field_names_the_nearest_field(findings: Findings) -> None:
    [found] = findings(("hidden_size: !var hidden_size\n    eps", "hidden_size: !var hiden_size\n    eps"))
    assert brief(found)[0] == "23:18 FGC412"
    assert found.help == "did you mean `hidden_size`?"


def test_several_mistakes_are_all_reported(findings: Findings) -> None:
    found = findings(
        ("    eps: !var rms", "    epsilon: !var rms"), ("num_heads:", "heads:"), ("bias: false", "bais: 0")
    )
    assert [item.code for item in found] == ["FGC501", "FGC501", "FGC501"]


def test_a_shared_object_is_refused(findings: Findings) -> None:
    [found] = findings(("&norm !partial:", "&norm !call:"))
    assert brief(found)[:2] == ("22:16 FGC413", "`.norms:RMSNorm` would be one object, shared by all layers")


def test_the_configuration_is_not_handed_over_by_hand(findings: Findings) -> None:
    [found] = findings(("    bias: false\n.define: &feed", "    config: 1\n.define: &feed"))
    assert found.message == "`config` is provided by the generated model"


def test_a_number_that_yaml_reads_as_text_is_told(findings: Findings) -> None:
    [found] = findings(("rms_norm_eps: 1.0e-6", "rms_norm_eps: 1e-6"))
    assert brief(found) == (
        "11:19 FGC413",
        "`rms_norm_eps` is '1e-6', but `RMSNorm` wants float",
        "YAML reads `1e-5` as text: write `1.0e-5`",
    )


def test_a_field_that_needs_itself_is_told(findings: Findings) -> None:
    [found] = findings(("hidden_size: 64", "hidden_size: !var head_dim"))
    assert (found.code, found.span.text) == ("FGC413", "hidden_size")


@pytest.mark.parametrize("name", ["Tiny", "9lives", "class", "torch", "json", "7"])
def test_a_name_that_cannot_be_a_package_is_refused(findings: Findings, name: str) -> None:
    [found] = findings(("name: tiny_llama", f"name: {name}"))
    assert (found.code, found.span.text) == ("FGC413", name)


def test_an_unknown_argument_of_the_package_is_told(findings: Findings) -> None:
    [found] = findings(("    tp_plan:", "    tp_plans:"))
    assert (found.code, found.help) == ("FGC501", "did you mean `tp_plan`?")


def test_a_missing_argument_of_the_package_is_told(findings: Findings) -> None:
    [found] = findings(("    name: tiny_llama\n", ""))
    assert (found.code, found.message) == ("FGC503", "`fgc:model_package` needs the argument `name`")


def test_a_malformed_plan_is_told(findings: Findings) -> None:
    found = findings(("down_proj: rowwise", "down_proj: 3"), ("norm: [[hidden_states], [hidden_states]]", "norm: no"))
    assert [item.span.text for item in found] == ["layers.*.mlp.down_proj", "norm"]


def test_a_component_file_that_python_cannot_parse_is_told(expand: Expand, llama: str) -> None:
    outcome = expand(llama, {"/own/norms.py": "class RMSNorm(:\n"}, ("/own",))
    [found] = outcome.diagnostics
    assert found.code == "FGC502"
    assert str(found.related[0].span).startswith("/own/norms.py:1:")


def test_two_helpers_of_one_name_are_told(expand: Expand, llama: str) -> None:
    own = "def apply_rotary(x):\n    return x\n\n\nclass Angles:\n    turn = apply_rotary\n"
    text = llama.replace("&positional_encoding !partial:.rotary", "&unused !partial:.rotary")
    text = text.replace(
        ".define: &embedding", ".define: &positional_encoding !partial:.mine:Angles\n.define: &embedding"
    )
    outcome = expand(text, {"/own/mine.py": own}, ("/own",))
    assert [item.message for item in outcome.diagnostics] == [
        "`apply_rotary` would mean two things in the model's file"
    ]


def test_an_argument_by_position_and_by_name_is_told(findings: Findings) -> None:
    [found] = findings(("    head_dim: !var head_dim\n    rope", "    arg0: 16\n    head_dim: !var head_dim\n    rope"))
    assert (found.code, found.span.text) == ("FGC413", "head_dim")
    assert found.message == "`head_dim` is given twice: by position and by name"


def test_null_for_a_part_that_is_always_constructed_is_told(findings: Findings) -> None:
    [found] = findings(("feed_forward: *feed_forward", "feed_forward: null"))
    assert (found.span.text, found.message) == (
        "feed_forward",
        "`feed_forward` of `PreNormLayer` must be a component",
    )


def test_a_finished_part_where_a_recipe_is_needed_is_told(findings: Findings) -> None:
    [found] = findings(("&feed_forward !partial:", "&feed_forward !factory:"))
    assert found.message == "`PreNormLayer` constructs `feed_forward` itself: write `!partial`"


def test_a_part_that_cannot_take_what_it_is_constructed_with_is_told(findings: Findings) -> None:
    mlp = "!partial:.feed_forward:GatedMLP {hidden_size: 64, intermediate_size: 8, activation: silu}"
    [found] = findings(("attention: *attention", f"attention: {mlp}"))
    assert found.message == "`GatedMLP` is constructed with 1 positional argument, but can take 0"
    assert found.related[0].span.text == "GatedMLP"


def test_a_model_that_is_no_causal_language_model_is_told(findings: Findings) -> None:
    model = ".causal_lm:DecoderForCausalLM\n        decoder: *decoder\n        lm_head: *lm_head\n"
    [found] = findings((model, ".norms:RMSNorm [8]\n"))
    assert found.message == "the model must be a component whose class name ends in `ForCausalLM`"


def test_a_model_without_a_base_model_is_told(expand: Expand) -> None:
    source = "class LoneForCausalLM:\n    def __init__(self, config):\n        self.config = config\n"
    text = "model: !meta:fgc:model_package {name: lone, config: {a: 1}, model: !partial:.lone:LoneForCausalLM {}}"
    [found] = expand(text, {"/own/lone.py": source}, ("/own",)).diagnostics
    assert found.message == "`LoneForCausalLM` constructs no `LoneModel`, the model without its head"


def test_arithmetic_with_a_component_is_told(findings: Findings) -> None:
    [found] = findings(("dropout: !var attention_dropout", "dropout: !call:operator:add [*norm, 1]"))
    assert found.message == "`operator:add` joins numbers and fields, not components"


def test_checking_reports_what_a_build_would(llama: str, check: Callable[[str], list[str]]) -> None:
    assert check(llama) == []
    assert check(llama.replace("num_kv_heads:", "num_kw_heads:")) == ["FGC501"]


def test_a_field_that_nothing_reads_and_that_is_near_to_one_that_is_read_is_told(
    llama: str, check: Callable[[str], list[str]]
) -> None:
    assert check(llama.replace("    hidden_size: 64", "    hidden_size: 64\n    hiden_size: 32")) == ["FGC414"]
    assert check(llama.replace("    hidden_size: 64", "    hidden_size: 64\n    my_own_note: 32")) == []


INITIALIZER = """\
.define: &decoder !partial:.causal_lm:DecoderModel
    initializer: !partial:.initializers:Initializer
        rules:
            RULES
            "*": !partial:.initializers:zeros {}
"""


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (
            '"*.oproj.weight": !partial:.initializers:ones {}',
            ("FGC416", "no parameter is left for the initializer's rule `*.oproj.weight`", "`*.o_proj.weight`"),
        ),
        (
            '"layers.*": !partial:.initializers:ones {}\n            "*.o_proj.weight": !partial:.initializers:ones {}',
            ("FGC416", "no parameter is left for the initializer's rule `*.o_proj.weight`", "tried in order"),
        ),
        ('"*.o_proj.weight": 0.5', ("FGC413", "`rules` must map `*.o_proj.weight` to a function", None)),
    ],
)
def test_rules_that_fill_nothing_are_told(findings: Findings, rule: str, expected: tuple[str, str, str | None]) -> None:
    code, message, help = expected
    text = INITIALIZER.replace("RULES", rule)
    [found] = findings((".define: &decoder !partial:.causal_lm:DecoderModel\n", text))
    assert found.code == code and message in found.message and (help or "") in (found.help or "")


def test_an_initializer_must_be_a_table_of_rules(findings: Findings) -> None:
    text = INITIALIZER.partition("    initializer")[0] + "    initializer: *norm\n"
    [found] = findings((".define: &decoder !partial:.causal_lm:DecoderModel\n", text))
    assert brief(found)[1:] == (
        "`initializer` of `DecoderModel` must be a table of rules",
        "write `!partial:.initializers:Initializer`",
    )


_OWN_NORMS = """
from torch import nn
from fgc_models.norms import RMSNorm


class Scaled(RMSNorm):
    def __init__(self, gain: float = 1.0, **kwargs):
        super().__init__(**kwargs)
        self.gain = gain


class Fixed(RMSNorm):
    def __init__(self, **kwargs):
        super().__init__(64, **kwargs)


class Bare(nn.Module):
    def __init__(self, hidden_size: int, **kwargs):
        super().__init__(**kwargs)


class Open(RMSNorm):
    def __init__(self, **kwargs):
        kwargs.pop("anything", None)
        super().__init__(**kwargs)


class Headless(Attention):
    def __init__(self, layer_idx: int, **kwargs):
        super().__init__(layer_idx, **kwargs)
"""
_NORM = ".define: &norm !partial:.norms:RMSNorm\n    hidden_size: !var hidden_size\n    eps: !var rms_norm_eps\n"


@pytest.mark.parametrize(
    ("norm", "expected"),
    [
        ("Scaled {gain: 2.0, hidden_size: !var hidden_size}", None),
        ("Scaled {hidden_sze: 64}", "FGC501 `Scaled` has no parameter `hidden_sze`"),
        ("Scaled {gain: 2.0}", "FGC503 `Scaled` needs the argument `hidden_size`"),
        ("Fixed {eps: 1.0e-6}", None),
        ("Fixed {hidden_size: 64}", "FGC501 `Fixed` has no parameter `hidden_size`"),
        ("Bare {hidden_size: 64, eps: 1.0}", "FGC501 `Bare` has no parameter `eps`"),
        ("Open {anything: 1, hidden_size: 64}", None),
    ],
)
def test_keywords_that_a_component_hands_to_its_base_are_checked(
    expand: Expand, llama: str, norm: str, expected: str | None
) -> None:
    name, arguments = norm.split(" ", 1)
    text = llama.replace(_NORM, f".define: &norm !partial:.own_norms:{name} {arguments}\n", 1)
    assert text != llama
    found = expand(text, {"/own/own_norms.py": _OWN_NORMS}, ("/own",)).diagnostics
    assert [f"{item.code} {item.message}" for item in found] == ([] if expected is None else [expected])


def test_a_component_that_keeps_the_configuration_from_its_base_is_told(expand: Expand, llama: str) -> None:
    text = llama.replace(".attention:Attention", ".own_norms:Headless", 1)
    source = _OWN_NORMS.replace("from torch", "from fgc_models.attention import Attention\nfrom torch", 1)
    [found] = expand(text, {"/own/own_norms.py": source}, ("/own",)).diagnostics
    assert (found.code, found.message) == ("FGC503", "`Headless` needs the argument `config`")
    assert found.help == "name `config` in its constructor, and pass it on: the generated model provides it"
