"""Models that the chosen strategy cannot train are refused before anything is built."""

from pathlib import Path

import pytest

from .conftest import Run

CONFIG = """\
config: &config
    router_aux_loss_coef: {weight}
    output_router_logits: {is_on}
main: !call:print [ *config, !singleton:fgc_runtime.trainers:{strategy} ]
"""


@pytest.mark.parametrize("command", [["check"], ["build", "-o", "out"]])
def test_a_pipeline_of_experts_with_a_balancing_loss_is_refused(run: Run, command: list[str]) -> None:
    Path("c.yaml").write_text(CONFIG.format(weight=0.02, is_on="true", strategy="Pipeline"))
    result = run(*command, "c.yaml")
    assert result.code != 0 and "FGC420" in result.err and "c.yaml:2:5" in result.err, result
    assert "set router_aux_loss_coef: 0.0" in result.err and not Path("out").exists()


@pytest.mark.parametrize(
    ("weight", "is_on", "strategy"),
    [
        ("0.0", "true", "Pipeline"),
        ("0.02", "false", "Pipeline"),
        ("0.02", "true", "FSDP2"),
        ("null", "true", "Pipeline"),
    ],
)
def test_what_can_be_trained_is_not(run: Run, weight: str, is_on: str, strategy: str) -> None:
    Path("c.yaml").write_text(CONFIG.format(weight=weight, is_on=is_on, strategy=strategy))
    assert "FGC420" not in run("check", "c.yaml").err
