"""Patterns of parameter names that match nothing are findings, where the parts of the model can be read."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from fgc.pipeline.models import ModelFiles, check_models
from fgc.pipeline.name_patterns import check_patterns
from fgc.text import Source
from fgc.workspace.facts import collect_facts
from fgc.workspace.session import Session

_ROOT = Path(__file__).parents[4]
_CONFIG = """\
-- extends 'models/llama/llama-test.yaml'
[model_config]
    == super()
    num_hidden_layers: 4
[model_code_generator]
    == super()
optimizer: &optimizer !partial:fgc_runtime.optim:grouped
    optimizer: !partial:torch.optim:AdamW
    groups:
        'PATTERN': {lr: 1.0e-4}
main: !singleton:fgc_runtime.trainers:Trainer
    model: *model
    optimizer_factory: *optimizer
"""
_TUNED = "!partial:fgc_runtime.finetune:fine_tuned {base: *model}"
_ADAPTED = "!call:peft:get_peft_model [ !call:call [ *model ], !call:peft:LoraConfig [] ]"
_OWN_FEED_FORWARD = """\
[feed_forward]
.define: &feed_forward !partial:.parts:FeedForward
    hidden_size: !var hidden_size
    intermediate_size: !var intermediate_size
    submodule_searchpath: [ FOLDER ]
"""
_LOADED = """\
base: &base !partial:fgc_runtime.finetune:load_base [ some_folder ]
model: !partial:fgc_runtime.finetune:fine_tuned
    base: *base
    frozen: [ 'PATTERN' ]
"""
_PARTS = """\
from torch import Tensor, nn


class FeedForward(nn.Module):
    def __init__(self, *, hidden_size: int, intermediate_size: int) -> None:
        super().__init__()
        self.up: nn.Linear = nn.Linear(hidden_size, intermediate_size)
        self.down = nn.Linear(intermediate_size, hidden_size)
        MORE

    def forward(self, hidden_states: Tensor) -> Tensor:
        return self.down(self.up(hidden_states).relu())
"""


_OWN = _CONFIG + _OWN_FEED_FORWARD


@pytest.mark.parametrize(
    ("text", "pattern", "expected", "help"),
    [
        (_CONFIG, r"layers\.3\.self_atn", r"no parameter of the model matches", "did you mean `self_attn`?"),
        (_CONFIG, r"layers\.4\.", "no parameter of the model matches", "layers are 0 to 3"),
        (_CONFIG, "(norm", "is not a regular expression: missing ), unterminated subpattern", ""),
        (_CONFIG, r"layers\.[0-3]\..*norm", None, ""),
        (_CONFIG, r"up_proj\.weight$", None, ""),
        (_OWN, r"mlp\.up\.weight", None, ""),
        (_OWN, "gate_proj", "no parameter of the model matches `gate_proj` in `groups`", ""),
        (_OWN.replace(".parts", ".opaque"), "gate_proj", None, ""),
        (_CONFIG, r"layers\.0\.self_attn$", "no parameter of the model matches", ""),
        (_CONFIG, r"embed_tokens\.bias", "no parameter of the model matches", ""),
        (_OWN.replace(".parts", ".recurrent"), "weight_ih", None, ""),
        (_OWN.replace(".parts", ".buffered"), "steps", "no parameter of the model matches", ""),
        (_OWN.replace(".parts", ".chosen"), r"mlp\.gate\.weight", None, ""),
        (_CONFIG.replace("*model", "!call:call [ *model ]"), "gate_prog", "no parameter of the model matches", ""),
        (_CONFIG.replace("*model", _TUNED), "gate_prog", "no parameter of the model matches", ""),
        (_CONFIG.replace("*model", _TUNED[:-1] + ", adapter: some_folder}"), "base_layer", None, ""),
        (_CONFIG.replace("*model", _ADAPTED), "lora_A", None, ""),
        (_CONFIG.replace("*model", "!call:.parts:wrapped { model: *model }"), "wrapped", None, ""),
        (_CONFIG + "    callbacks: [ !call:.parts:inject [ *model ] ]\n", "injected", None, ""),
        (_CONFIG.replace("*model", "!call:.parts:other []"), "another", None, ""),
        (_CONFIG.replace("trainers:Trainer", "trainers:Other"), "another", None, ""),
        (_LOADED, "anything", None, ""),
        (_LOADED, "[any", "`[any` in `frozen` is not a regular expression: unterminated character set", ""),
    ],
)
def test_a_pattern_that_surely_matches_no_parameter_is_found_at_its_place(
    tmp_path: Path, text: str, pattern: str, expected: str | None, help: str
) -> None:
    (tmp_path / "parts.py").write_text(_PARTS.replace("MORE", ""), encoding="utf-8")
    hidden = 'setattr(self, "gate_" + "proj", nn.Identity())'
    (tmp_path / "opaque.py").write_text(_PARTS.replace("MORE", hidden), encoding="utf-8")
    recurrent = "self.memory = nn.LSTM(hidden_size, hidden_size)"
    (tmp_path / "recurrent.py").write_text(_PARTS.replace("MORE", recurrent), encoding="utf-8")
    (tmp_path / "buffered.py").write_text(_PARTS.replace("MORE", "self.steps = nn.Buffer(STEPS)"), encoding="utf-8")
    chosen = "self.gate = nn.Identity() if hidden_size > 8 else nn.Linear(hidden_size, 1)"
    (tmp_path / "chosen.py").write_text(_PARTS.replace("MORE", chosen), encoding="utf-8")
    text = text.replace("PATTERN", pattern).replace("FOLDER", str(tmp_path))
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")
    session = Session([tmp_path, _ROOT / "stdlib" / "fgc_stdlib"])
    graph = session.compile(path, "config.yaml", {}, collect_facts(tmp_path, None)).graph
    files = SimpleNamespace(read_python=_read, component_folders=[str(_ROOT / "modelsrc" / "fgc_models")])
    found = list(check_patterns(graph, check_models(graph, cast(ModelFiles, files)).value))
    assert len(found) == (expected is not None)
    for finding in found:
        assert expected is not None and expected in finding.message
        assert help in (finding.help or "")
        assert pattern in finding.span.text


def _read(path: str) -> Source | None:
    file = Path(path)
    return Source(path, file.read_text(encoding="utf-8"), path) if file.is_file() else None
