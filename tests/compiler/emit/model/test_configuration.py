"""Says what becomes of the fields of a model's configuration."""

from collections.abc import Callable

from fgc.diagnostics import Outcome, render_text
from fgc.emit.model import ModelExpansion
from fgc.ir import Call, CallKind

Expand = Callable[..., Outcome[ModelExpansion | None]]


def expanded(expand: Expand, text: str) -> ModelExpansion:
    outcome = expand(text)
    assert outcome.value is not None, render_text(outcome.diagnostics)
    return outcome.value


def configuration(expansion: ModelExpansion) -> str:
    return expansion.files["tiny_llama/configuration_tiny_llama.py"]


def test_literals_become_typed_defaults(expand: Expand, llama: str) -> None:
    text = configuration(expanded(expand, llama))
    assert "    hidden_size: int = 64\n" in text
    assert '    hidden_act: str = "silu"\n' in text
    assert "    rms_norm_eps: float = 1e-6\n" in text
    assert "    eos_token_id: int | list[int] | None = 2\n" in text
    assert "    pad_token_id: int | None = None\n" in text


def test_an_integer_for_a_float_is_written_as_a_float(expand: Expand, llama: str) -> None:
    text = configuration(expanded(expand, llama.replace("attention_dropout: 0.0", "attention_dropout: 0")))
    assert "    attention_dropout: float = 0.0\n" in text


def test_a_field_that_follows_from_others_is_derived_when_it_is_not_given(expand: Expand, llama: str) -> None:
    text = configuration(expanded(expand, llama))
    assert "    head_dim: int | None = None\n" in text
    assert (
        "        if self.head_dim is None:\n"
        "            self.head_dim = self.hidden_size // self.num_attention_heads\n" in text
    )


def test_derived_fields_come_after_what_they_are_derived_from(expand: Expand, llama: str) -> None:
    heads = "num_attention_heads: !call:operator:floordiv [!var hidden_size, 16]"
    text = configuration(expanded(expand, llama.replace("num_attention_heads: 4", heads)))
    assert text.index("if self.num_attention_heads is None") < text.index("if self.head_dim is None")


def test_literals_are_not_repeated_where_the_model_is_constructed(expand: Expand, llama: str) -> None:
    graph = expanded(expand, llama).graph
    model = graph[graph.targets["model"]]
    assert isinstance(model, Call)
    assert (model.callee.container, model.callee.attribute) == ("tiny_llama", "TinyLlamaForCausalLM")
    assert model.kind is CallKind.PARTIAL, "the trainer makes the model when it has seeded"
    config = graph[model.positional[0]]
    assert isinstance(config, Call)
    assert (config.callee.container, config.callee.attribute) == ("tiny_llama", "TinyLlamaConfig")
    assert config.keywords == ()


def test_a_computed_value_is_passed_at_construction_and_has_the_default_that_the_template_says(
    expand: Expand, llama: str
) -> None:
    text = llama.replace("vocab_size: 128", "vocab_size: !call:len [!call:my.tokens:load []]")
    text = text.replace("    name: tiny_llama\n", "    name: tiny_llama\n    defaults: {vocab_size: 32000}\n")
    expansion = expanded(expand, text)
    assert "    vocab_size: int = 32000\n" in configuration(expansion)
    model = expansion.graph[expansion.graph.targets["model"]]
    assert isinstance(model, Call)
    config = expansion.graph[model.positional[0]]
    assert isinstance(config, Call)
    assert [keyword.name for keyword in config.keywords] == ["vocab_size"]


def test_a_computed_value_without_a_stated_default_is_none(expand: Expand, llama: str) -> None:
    text = llama.replace("vocab_size: 128", "vocab_size: !call:len [!call:my.tokens:load []]")
    assert "    vocab_size: int | None = None\n" in configuration(expanded(expand, text))


def test_a_default_for_no_field_is_told(expand: Expand, llama: str) -> None:
    text = llama.replace("    name: tiny_llama\n", "    name: tiny_llama\n    defaults: {vocabsize: 32000}\n")
    [found] = expand(text).diagnostics
    assert (found.code, found.span.text) == ("FGC413", "vocabsize")
