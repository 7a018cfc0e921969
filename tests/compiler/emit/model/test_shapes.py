"""Numbers and names that cannot work together are findings that name the values and the rule."""

from collections.abc import Callable

import pytest
from fgc.diagnostics import Diagnostic
from fgc.emit.model import check_model_package

from .conftest import COMPONENTS, GraphReader, read_source

Found = Callable[..., list[Diagnostic]]


@pytest.fixture
def found(llama: str) -> Found:
    """Returns what checking finds after texts of the Llama's description were replaced."""

    def run(*replacements: tuple[str, str]) -> list[Diagnostic]:
        text = llama
        for old, new in replacements:
            assert old in text, f"{old} is not in the description"
            text = text.replace(old, new, 1)
        graph = GraphReader(text).graph()
        return list(check_model_package(graph, graph.targets["model"], read_source, [str(COMPONENTS)]).diagnostics)

    return run


def only(findings: list[Diagnostic]) -> tuple[str, str, str, str | None]:
    [finding] = findings
    assert finding.code == "FGC416"
    return finding.span.text, str(finding.severity.value), finding.message, finding.help


def test_the_description_itself_fits_together(found: Found) -> None:
    assert found() == []


def test_a_hidden_size_that_the_heads_do_not_divide_is_told(found: Found) -> None:
    assert only(found(("hidden_size: 64", "hidden_size: 66"))) == (
        "66",
        "error",
        "`num_attention_heads` (4) does not divide `hidden_size` (66), which `head_dim` needs",
        "or give `head_dim` itself",
    )


def test_kv_heads_that_do_not_divide_the_heads_are_told(found: Found) -> None:
    text, severity, message, _ = only(found(("num_key_value_heads: 2", "num_key_value_heads: 3")))
    assert (text, severity) == ("3", "error")
    assert message == "`num_key_value_heads` (3) does not divide `num_attention_heads` (4)"


def test_an_unknown_activation_names_the_nearest_one(found: Found) -> None:
    assert only(found(("hidden_act: silu", "hidden_act: sillu"))) == (
        "sillu",
        "error",
        "no activation is called `sillu`",
        "did you mean `silu`?",
    )


def test_an_unknown_type_of_rotary_positions_names_the_nearest_one(found: Found) -> None:
    finding = only(found(("rope_type: default", "rope_type: yarm")))
    assert finding[1:] == ("error", "no rotary positions have the rope_type `yarm`", "did you mean `yarn`?")


@pytest.mark.parametrize("rope_type", ["yarn", "linear", "proportional"])
def test_rotary_positions_of_a_known_type_are_no_mistake(found: Found, rope_type: str) -> None:
    assert found(("rope_type: default", f"rope_type: {rope_type}")) == []


def test_an_odd_head_dim_is_told(found: Found) -> None:
    derived = "head_dim: !call:operator:floordiv [!var hidden_size, !var num_attention_heads]"
    assert only(found((derived, "head_dim: 15")))[:3] == (
        "15",
        "error",
        "`head_dim` is 15, but rotary positions turn channels in pairs",
    )


def test_a_window_larger_than_the_context_leaves_nothing_out_and_is_no_mistake(found: Found) -> None:
    messages = [finding.message for finding in found(("hidden_act: silu", "hidden_act: silu\n    sliding_window: 500"))]
    assert not [message for message in messages if "context" in message]


def test_a_part_of_the_channels_turns_in_pairs(found: Found) -> None:
    assert found(("rope_type: default", "rope_type: default\n        partial_rotary_factor: 0.5")) == []
    finding = only(found(("rope_type: default", "rope_type: default\n        partial_rotary_factor: 0.2")))
    assert finding[1:3] == ("error", "`head_dim` (16) times 0.2 is 3, but rotary positions turn channels in pairs")


def test_windows_without_their_fields_are_told(found: Found) -> None:
    findings = found(("    norm: *norm\nmodel:", "    norm: *norm\n    windows: by_layer\nmodel:"))
    assert [(item.span.text, item.message.rpartition(" ")[2]) for item in findings] == [
        ("DecoderModel", "`sliding_window`"),
        ("DecoderModel", "`layer_types`"),
    ]


def test_soft_capped_scores_with_sdpa_are_told(found: Found) -> None:
    findings = found(("    bias: false\n.define: &feed", "    bias: false\n    softcap: 50.0\n.define: &feed"))
    assert only(findings)[2:] == (
        "sdpa cannot press scores into a soft cap",
        "`attention_implementations: [ eager, flash_attention_2, flex_attention, others ]` in [model_code_generator]",
    )


def test_a_plan_pattern_that_matches_no_module_names_the_nearest_one(found: Found) -> None:
    assert only(found(("layers.*.mlp.up_proj", "layers.*.mlp.up_porj"))) == (
        "layers.*.mlp.up_porj",
        "error",
        "`tp_plan` names `layers.*.mlp.up_porj`, but the model has no such module",
        "did you mean `layers.*.mlp.up_proj`?",
    )
    place, severity, _, help = only(found(("        norm: [[hidden", "        final_norm: [[hidden")))
    assert (place, severity, help) == (
        "final_norm",
        "error",
        "its modules: embed_tokens, layers, norm, rotary_emb",
    )


def test_a_plan_may_name_one_layer_and_what_is_inside_a_part_that_cannot_be_read(found: Found) -> None:
    assert found(("layers.*.mlp.up_proj", "layers.1.mlp.up_proj")) == []
    assert only(found(("layers.*.mlp.up_proj", "layers.1.mlp.up_porj")))[0] == "layers.1.mlp.up_porj"


def test_what_the_program_computes_is_not_judged(found: Found) -> None:
    assert found(("num_key_value_heads: 2", "num_key_value_heads: !call:math:gcd [4, 2]")) == []


def test_an_unknown_attention_implementation_is_told(found: Found) -> None:
    [finding] = found(("    tp_plan:", "    attention_implementations: [sdpaa]\n    tp_plan:"))
    assert (finding.code, finding.message.rpartition(", ")[2]) == ("FGC413", "not `sdpaa`")
    assert finding.help is not None and "`sdpa`" in finding.help
