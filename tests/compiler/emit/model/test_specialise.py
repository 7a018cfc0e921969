"""Says what becomes of a component class, shown on the smallest components."""

from collections.abc import Callable
from textwrap import dedent

import pytest
from fgc.diagnostics import Outcome, render_text
from fgc.emit.model import ModelExpansion

SKELETON = """
from collections.abc import Callable

from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel


class ThingModel(PreTrainedModel):
    pass


class ThingForCausalLM(ThingModel):
    def __init__(self, config: PreTrainedConfig, *, part: Callable[[int], nn.Module]) -> None:
        super().__init__(config)
        self.part = part(3)
"""

Generate = Callable[..., str]


@pytest.fixture
def generate(expand: Callable[..., Outcome[ModelExpansion | None]]) -> Generate:
    """The generated class of one part, given its source and its description."""

    def run(source: str, part: str, name: str = "Part", config: str = "{width: 8, depth: 2}") -> str:
        description = f"""\
            .define: &part {part}
            model: !meta:fgc:model_package
                name: thing
                config: {config}
                model: !partial:.skeleton:ThingForCausalLM
                    part: *part
            """
        files = {"/own/skeleton.py": SKELETON, "/own/parts.py": "from torch import nn\n" + dedent(source)}
        outcome = expand(dedent(description), files, ("/own",))
        assert outcome.value is not None, render_text(outcome.diagnostics)
        text = outcome.value.files["thing/modeling_thing.py"]
        start = text.index(f"class {name}")
        return text[start : text.find("\n\n\n", start)].strip()

    return run


def body(text: str) -> str:
    return dedent(text).strip()


def test_fields_and_constants_take_the_place_of_parameters(generate: Generate) -> None:
    source = """
        class Part(nn.Module):
            def __init__(self, layer_idx, *, width, depth, kind, scale=1.0):
                super().__init__()
                self.rows = [width * layer_idx] * depth
                self.options = dict(kind=kind, scale=scale)
        """
    part = "!partial:.parts:Part {width: !var width, depth: !var depth, kind: big}"
    assert generate(source, part) == body("""
        class Part(nn.Module):
            def __init__(self, config: ThingConfig, layer_idx):
                super().__init__()
                self.rows = [config.width * layer_idx] * config.depth
                self.options = dict(kind="big", scale=1.0)
        """)


def test_a_part_with_few_arguments_keeps_its_parameters(generate: Generate) -> None:
    source = """
        class Part(nn.Module):
            def __init__(self, layer_idx, width, eps=1e-6):
                super().__init__()
                self.width = width
        """
    part = "!partial:.parts:Part {width: !var width}"
    assert "def __init__(self, layer_idx, width, eps=1e-6):" in generate(source, part)
    assert "self.part = Part(3, width=config.width)" in generate(source, part, "ThingForCausalLM")


def test_a_switch_that_is_off_takes_its_branches_with_it(generate: Generate) -> None:
    source = """
        class Part(nn.Module):
            def __init__(self, layer_idx, *, bias=False, gate=None):
                super().__init__()
                if bias:
                    self.bias = 1
                elif layer_idx:
                    self.first = 2
                else:
                    self.other = 3
                self.gate = gate() if gate is not None else None

            def forward(self, x):
                if self.gate is not None and x:
                    x = self.gate(x)
                return x
        """
    assert generate(source, "!partial:.parts:Part {bias: false}") == body("""
        class Part(nn.Module):
            def __init__(self, layer_idx):
                super().__init__()
                if layer_idx:
                    self.first = 2
                else:
                    self.other = 3

            def forward(self, x):
                return x
        """)


def test_a_part_that_is_there_loses_the_test_whether_it_is(generate: Generate) -> None:
    source = """
        class Part(nn.Module):
            def __init__(self, layer_idx, *, gate=None):
                super().__init__()
                # why there is a gate
                self.gate = gate() if gate is not None else None

            def forward(self, x):
                if self.gate is None:
                    return x
                return self.gate(x)
        """
    part = "!partial:.parts:Part {gate: !partial:torch.nn:Linear [!var width, 1]}"
    assert generate(source, part) == body("""
        class Part(nn.Module):
            def __init__(self, config: ThingConfig, layer_idx):
                super().__init__()
                # why there is a gate
                self.gate = nn.Linear(config.width, 1)

            def forward(self, x):
                return self.gate(x)
        """)


def test_a_parameter_that_the_constructor_changes_becomes_a_variable(generate: Generate) -> None:
    source = """
        class Part(nn.Module):
            def __init__(self, layer_idx, *, width, depth, size):
                super().__init__()
                width = width * 2
                self.size = width + size + depth
        """
    part = "!partial:.parts:Part {width: !var width, depth: -1, size: !var depth}"
    assert generate(source, part) == body("""
        class Part(nn.Module):
            def __init__(self, config: ThingConfig, layer_idx):
                width = config.width
                super().__init__()
                width = width * 2
                self.size = width + config.depth + (-1)
        """)


PAIR = """
    class Leaf(nn.Module):
        def __init__(self, *, a, b, c):
            super().__init__()
            self.leaf = a + b + c

    class Part(nn.Module):
        def __init__(self, layer_idx, *, left, right):
            super().__init__()
            self.left, self.right = left(), right()

    class Outer(nn.Module):
        def __init__(self, layer_idx, *, one, two):
            super().__init__()
            self.one, self.two = one(layer_idx), two(layer_idx)
    """


def test_what_differs_between_two_uses_stays_a_parameter(generate: Generate) -> None:
    part = (
        "!partial:.parts:Part {left: !partial:.parts:Leaf {a: 1, b: !var width, c: 2},"
        " right: !partial:.parts:Leaf {a: 5, b: !var width, c: 2}}"
    )
    assert generate(PAIR, part, "Leaf") == body("""
        class Leaf(nn.Module):
            def __init__(self, config: ThingConfig, *, a):
                super().__init__()
                self.leaf = a + config.width + 2
        """)
    assert "self.left, self.right = Leaf(config, a=1), Leaf(config, a=5)" in generate(PAIR, part)


def test_a_component_with_other_parts_inside_becomes_a_class_of_its_own(generate: Generate) -> None:
    inner = "!partial:.parts:Part {{left: !partial:torch.nn:{} {{}}, right: !partial:torch.nn:Identity {{}}}}"
    part = f"!partial:.parts:Outer {{one: {inner.format('ReLU')}, two: {inner.format('SiLU')}}}"
    assert "self.one, self.two = Part(layer_idx), Part2(layer_idx)" in generate(PAIR, part, "Outer")
    assert "nn.ReLU()" in generate(PAIR, part, "Part(")
    assert "nn.SiLU()" in generate(PAIR, part, "Part2(")


def test_a_callable_that_is_kept_is_handed_over_as_a_partial(generate: Generate) -> None:
    source = """
        def squared(x, power):
            return x**power

        class Part(nn.Module):
            def __init__(self, layer_idx, *, activation):
                super().__init__()
                self.activation = activation
        """
    part = "!partial:.parts:Part {activation: !partial:.parts:squared {power: 2}}"
    assert "self.activation = partial(squared, power=2)" in generate(source, part)


def test_a_factory_is_constructed_where_it_is_mentioned(generate: Generate) -> None:
    source = """
        class Part(nn.Module):
            def __init__(self, layer_idx, *, norm):
                super().__init__()
                self.norm = norm
        """
    part = "!partial:.parts:Part {norm: !factory:torch.nn:LayerNorm [!var width]}"
    assert "self.norm = nn.LayerNorm(config.width)" in generate(source, part)


def test_components_of_one_name_from_different_files_get_different_names(
    expand: Callable[..., Outcome[ModelExpansion | None]], llama: str
) -> None:
    own = (
        "class GatedMLP:\n    pass\n\n\nclass Outer:\n    def __init__(self, *, inner):\n        self.inner = inner()\n"
    )
    nested = "!partial:.mine:Outer {inner: !partial:.mine:GatedMLP {}}\n"
    text = llama.replace("&positional_encoding !partial:.rotary", "&unused !partial:.rotary")
    text = text.replace(".define: &embedding", f".define: &positional_encoding {nested}.define: &embedding")
    outcome = expand(text, {"/own/mine.py": own}, ("/own",))
    assert outcome.value is not None
    modeling = outcome.value.files["tiny_llama/modeling_tiny_llama.py"]
    assert "self.inner = GatedMLP()" in modeling
    assert "self.mlp = GatedMLP2(config)" in modeling


def test_helpers_constants_and_base_classes_come_along(generate: Generate) -> None:
    source = """
        LIMIT = 4  # the most that fits

        class Base(nn.Module):
            def limit(self):
                return LIMIT

        class Part(Base):
            def __init__(self, layer_idx):
                super().__init__()
        """
    part = "!partial:.parts:Part"
    assert "return LIMIT" in generate(source, part, "Base")
    assert generate(source, part, "Part").startswith("class Part(Base):")


def test_attributes_and_keywords_named_like_a_parameter_stay(generate: Generate) -> None:
    source = """
        class Part(nn.Module):
            def __init__(self, layer_idx, *, width, depth, scale):
                super().__init__()
                self.width = dict(width=width, depth=self.depth, scale=scale)
        """
    part = "!partial:.parts:Part {width: !var width, depth: 1, scale: 2}"
    assert "self.width = dict(width=config.width, depth=self.depth, scale=2)" in generate(source, part)


def test_a_subclass_that_inherits_its_constructor_inherits_the_specialised_one(generate: Generate) -> None:
    source = """
        class Base(nn.Module):
            def __init__(self, layer_idx, *, width, depth, gate=None):
                super().__init__()
                self.size = width * depth
                self.gate = gate() if gate is not None else None

        class Part(Base):
            def forward(self, x):
                return x * self.size
        """
    part = "!partial:.parts:Part {width: !var width, depth: 2, gate: !partial:torch.nn:ReLU {}}"
    assert generate(source, part, "Base") == body("""
        class Base(nn.Module):
            def __init__(self, config: ThingConfig, layer_idx):
                super().__init__()
                self.size = config.width * 2
                self.gate = nn.ReLU()
        """)
    assert generate(source, part, "Part").startswith("class Part(Base):\n    def forward")
    assert "self.part = Part(config, 3)" in generate(source, part, "ThingForCausalLM")


def test_a_component_may_be_named_by_its_installed_module(generate: Generate) -> None:
    source = """
        from fgc_models.norms import RMSNorm

        class Part(nn.Module):
            def __init__(self, layer_idx, *, norm):
                super().__init__()
                self.norm = norm()
        """
    part = "!partial:.parts:Part {norm: !partial:fgc_models.norms:RMSNorm {hidden_size: !var width}}"
    assert "self.norm = RMSNorm(config.width)" in generate(source, part)
    assert generate(source, part, "RMSNorm").startswith("class RMSNorm(nn.Module):")


def test_a_component_function_gets_the_configuration_if_it_asks(generate: Generate) -> None:
    source = """
        def make(config, scale):
            return config.width * scale

        class Part(nn.Module):
            def __init__(self, layer_idx, *, size):
                super().__init__()
                self.size = size()
        """
    part = "!partial:.parts:Part {size: !partial:.parts:make {scale: 2}}"
    text = generate(source, part)
    assert "def __init__(self, config: ThingConfig, layer_idx):" in text
    assert "self.size = make(scale=2, config=config)" in text


RETURNS_EARLY = """
    class Part(nn.Module):
        def __init__(self, layer_idx, *, short=False):
            super().__init__()
            self.short = short

        def forward(self, x) -> list | tuple:
            if self.short:
                return tuple(x)
            x = x + x
            return list(x)
    """


def test_nothing_stands_behind_a_branch_that_always_returns(generate: Generate) -> None:
    assert generate(RETURNS_EARLY, "!partial:.parts:Part {short: true}") == body("""
        class Part(nn.Module):
            def __init__(self, layer_idx):
                super().__init__()

            def forward(self, x) -> tuple:
                return tuple(x)
        """)


def test_a_branch_that_is_never_taken_leaves_its_type_behind_no_more(generate: Generate) -> None:
    assert generate(RETURNS_EARLY, "!partial:.parts:Part {short: false}") == body("""
        class Part(nn.Module):
            def __init__(self, layer_idx):
                super().__init__()

            def forward(self, x) -> list:
                x = x + x
                return list(x)
        """)


def test_a_try_without_anything_left_to_clean_up_is_taken_out(generate: Generate) -> None:
    source = """
        class Part(nn.Module):
            def __init__(self, layer_idx, *, lock=None):
                super().__init__()
                self.lock = lock

            def forward(self, x):
                # both
                try:
                    y = x + 1
                finally:
                    if self.lock is not None:
                        self.lock.release()
                try:
                    y = y + 1
                finally:
                    y = y + 1
                return y
        """
    found = generate(source, "!partial:.parts:Part {}")
    assert body(found.partition("def forward")[2].partition("\n")[2]) == body("""
        # both
        y = x + 1
        try:
            y = y + 1
        finally:
            y = y + 1
        return y
        """)


def test_a_docstring_does_not_speak_of_what_the_model_switches_off(generate: Generate) -> None:
    source = '''
        class Part(nn.Module):
            """y = x.

            Smith et al. 2020 (eq. 1). What it gives is multiplied by `scale`, as in
            Granite. With `clip`, it is clipped. `width` is that of x.
            """

            def __init__(self, index, *, width, scale=None, clip=False):
                super().__init__()
                self.weight = nn.Linear(width, width)
                self.scale = scale
                self.clip = clip

            def forward(self, x):
                if self.clip:
                    x = x.clip(0)
                if self.scale is not None:
                    x = x * self.scale
                return self.weight(x)
        '''
    part = "!partial:.parts:Part {width: !var width, CHOICE}"
    plain = generate(source, part.replace(", CHOICE", ""))
    assert "Granite" not in plain and "clipped" not in plain
    assert "Smith et al. 2020 (eq. 1). `width` is that of x." in plain
    scaled = generate(source, part.replace("CHOICE", "scale: 2.0"))
    assert "multiplied by `scale`" in scaled and "clipped" not in scaled


def test_a_docstring_can_lose_its_first_sentence(generate: Generate) -> None:
    source = '''
        class Part(nn.Module):
            """Times `scale`.{REST}"""

            def __init__(self, index, *, width, scale=None):
                super().__init__()
                self.weight = nn.Linear(width, width)
                self.scale = scale

            def forward(self, x):
                x = self.weight(x)
                return x if self.scale is None else x * self.scale
        '''
    part = "!partial:.parts:Part {width: !var width}"
    for rest in (" Y is x.", "\n\n            Y is x.\n            "):
        generated = generate(source.replace("{REST}", rest), part)
        assert '    """Y is x.' in generated
    assert '"""' not in generate(source.replace("{REST}", ""), part)
