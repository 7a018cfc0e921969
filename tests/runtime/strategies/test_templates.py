"""One line of a configuration swaps the strategy: the library's trainer templates give the objects they name."""

from pathlib import Path
from typing import Any

import fgc_runtime.trainers as trainers
import pytest
from fgc.api import Project

LIBRARY = Path(__file__).parents[3] / "stdlib/fgc_stdlib/trainers"
TEMPLATES = sorted(
    path.name for path in LIBRARY.glob("*.yaml") if path.name not in ("base_trainer.yaml", "trainer.yaml")
)
CONFIG = """-- extends 'types/training_script/causal_lm/causal_lm.yaml'
[config_metadata]
    == super()
    -- set ns.trainer_template = 'trainers/{template}'
{more}"""


def project(folder: Path, template: str, more: str = "") -> Project:
    (folder / "config.yaml").write_text(CONFIG.format(template=template, more=more))
    return Project(folder / "config.yaml")


@pytest.mark.parametrize("template", TEMPLATES)
def test_each_template_makes_its_strategy(tmp_path: Path, template: str) -> None:
    config = project(tmp_path, template)
    assert not config.diagnostics
    strategy = config("strategy")
    expected = {"ddp": "DDP", "fsdp2": "FSDP2", "accelerate": "Accelerate", "pipeline": "Pipeline"}
    assert type(strategy) is getattr(trainers, expected[template.removesuffix(".yaml")])
    assert config("meta")["nproc_per_node"] == "auto"
    assert "strategy=strategy" in config.code()


def test_the_plain_trainer_names_no_strategy(tmp_path: Path) -> None:
    config = project(tmp_path, "trainer.yaml")
    assert "strategy=strategy" not in config.code()
    assert config("meta")["nproc_per_node"] == 1


def test_a_configuration_sets_the_number_of_processes(tmp_path: Path) -> None:
    assert project(tmp_path, "fsdp2.yaml", "    -- set ns.nproc_per_node = 2\n")("meta")["nproc_per_node"] == 2


def test_a_child_changes_one_argument_of_a_strategy(tmp_path: Path) -> None:
    more = """[trainer_definition]
    -- include 'config.trainer'

#---- config.trainer ----
-- extends ns.trainer_template

[strategy_args]
    == super()
    schedule: ZBVZeroBubble
[trainer_args]
    == super()
    fused_loss: auto
    bf16: true
"""
    config = project(tmp_path, "pipeline.yaml", more)
    strategy: Any = config("strategy")
    assert (strategy.schedule, strategy.n_microbatches, strategy.stages_per_rank) == ("ZBVZeroBubble", 4, 2)
    assert config("trainer_args").fused_loss == "auto"
