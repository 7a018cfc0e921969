"""The template library's parts, built from a configuration and used: every optimizer and every schedule takes steps."""

from pathlib import Path
from typing import Any

import pytest
import torch
from fgc.api import Project
from fgc_runtime.optim import weight_decay_groups
from fgc_runtime.trainers import TrainingArguments
from fgc_runtime.trainers.factories import make_lr_scheduler, make_optimizer

LIBRARY = Path(__file__).parents[2] / "stdlib/fgc_stdlib"


def parts(folder: str) -> list[str]:
    found = sorted(path.name for path in (LIBRARY / folder).glob("*.yaml"))
    assert found
    return found


def built(folder: Path, include: str, target: str, changes: str = "") -> Any:
    (folder / "config.yaml").write_text(f"-- include '{include}'\n\n{changes}\nmain: *{target}\n")
    return Project(folder / "config.yaml")()


@pytest.mark.parametrize("name", parts("optimizers"))
def test_every_optimizer_of_the_library_learns(name: str, tmp_path: Path, tiny_model: Any) -> None:
    model = tiny_model()
    factory = built(tmp_path, f"optimizers/{name}", "optimizer")
    optimizer = make_optimizer(model, factory, TrainingArguments())
    tokens = torch.arange(24).reshape(2, 12)
    losses = []
    for _ in range(3):
        loss = model(input_ids=tokens, labels=tokens).loss
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert losses[2] < losses[0]
    names = [name for group in optimizer.param_groups for name in group["param_names"]]
    assert sorted(names) == sorted(name for name, _ in model.named_parameters())


@pytest.mark.parametrize("name", parts("lr_schedulers"))
def test_every_schedule_of_the_library_steps(name: str, tmp_path: Path, tiny_model: Any) -> None:
    factory = built(tmp_path, f"lr_schedulers/{name}", "lr_scheduler")
    optimizer = torch.optim.SGD(weight_decay_groups(tiny_model()), lr=2.0)
    scheduler = make_lr_scheduler(optimizer, factory, TrainingArguments(), num_training_steps=1000)
    rates = []
    for _ in range(120):
        rates.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    assert rates[0] == pytest.approx(0.02)
    assert rates[99] == pytest.approx(2.0)
    assert rates[119] > 1.0


def test_a_line_behind_an_include_changes_an_argument(tmp_path: Path) -> None:
    factory = built(tmp_path, "optimizers/lion.yaml", "optimizer", "    lr: 0.125")
    assert factory.keywords == {"lr": 0.125, "betas": (0.9, 0.99), "weight_decay": 0.3}
