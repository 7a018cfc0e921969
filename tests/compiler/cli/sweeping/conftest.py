"""A configuration whose program descends into a bowl in milliseconds, and reports as a training does."""

from pathlib import Path

import pytest

PROGRAM = """
import json, math, os, sys, time
from pathlib import Path
from fgc_runtime.trial import current_trial

def descend(lr, width, kind, momentum, betas, steps, fail, pause, metric):
    trial = current_trial()
    if fail == "now":
        sys.exit("no memory left")
    for step in range(1, steps + 1):
        loss = (math.log10(lr) + 1) ** 2 + abs(width - 4) / 10 + momentum / step + sum(betas)
        time.sleep(pause)
        value = float("nan") if fail == "nan" else loss
        reason = None if trial is None else trial.report({metric: value}, step=step)
        if reason is not None:
            sys.exit(1)
"""
CONFIG = """
meta: {config_name: Bowl, output_dir: out/bowl}
main: !singleton:bowl.py:descend
    lr: 0.1
    width: 4
    kind: sgd
    momentum: 0.5
    betas: [0.0, 0.5]
    steps: 3
    fail: none
    pause: 0.0
    metric: eval_loss
"""


@pytest.fixture
def bowl(run: object) -> Path:
    """`bowl.yaml` in the current folder; `run` has made and entered it."""
    Path("bowl.py").write_text(PROGRAM, encoding="utf-8")
    Path("bowl.yaml").write_text(CONFIG, encoding="utf-8")
    return Path.cwd()
