"""Two processes that differ in one thing after the other; process 1 tells what it is told of each, as JSON."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fgc_runtime import checkpoint
from fgc_runtime.checkpoint import manifest, saver
from fgc_runtime.distributed import World
from fgc_runtime.trainers import FSDP2, EvalPrediction, SaveFailed, Trainer, TrainingArguments
from fgc_runtime.trainers.setup import ranks
from train import examples, model

folder, own = Path(sys.argv[1]), int(os.environ["RANK"])
told: dict[str, str] = {}


def note(name: str, call: Callable[[], object]) -> None:
    try:
        call()
        told[name] = "nothing"
    except (ranks.RanksDiffer, SaveFailed, OSError) as error:
        told[name] = f"{type(error).__name__}: {error}"


def trainer(count: int = 8, *, seed: int = 0, **arguments: Any) -> Trainer:
    settings = {"output_dir": folder / "out", "use_cpu": True, "max_steps": 1, "logging_dir": folder / "logs"}
    data = examples(count + seed)[seed:]
    return Trainer(model, TrainingArguments(**{**settings, **arguments}), train_dataset=data, callbacks=[])


note("same", lambda: trainer(ddp_timeout=77))
note("argument", lambda: trainer(learning_rate=1e-3 * (1 + own)))
note("length", lambda: trainer(8 + own))
note("content", lambda: trainer(seed=own).train())
ranks._PATIENCE_S = 0.2
world = World.connect(use_cpu=True)
(folder / f"disk-{own}").mkdir()
note("folder", lambda: ranks.require_one_folder(world, folder / f"disk-{own}"))
note("one folder", lambda: ranks.require_one_folder(world, folder))

hashed: list[str] = []
hash_of = manifest._sha256
manifest._sha256 = lambda path: hashed.append(path.name) or hash_of(path)  # type: ignore[func-returns-value]
trainer().train()
saved, hashed[:] = sorted(set(hashed)), []
place = folder / "logs/checkpoints/checkpoint-1"
trainer(max_steps=1, resume_from_checkpoint=place).train()
read = sorted(set(hashed))
checkpoint.verify(place)


def unreadable(folder: Path) -> dict[str, int]:
    """A disk that fails on one process, between two exchanges of all."""
    raise OSError("the disk is gone")


sizes_in = saver.sizes_in
saver.sizes_in = unreadable if own == 0 else sizes_in
note("disk", lambda: trainer().train())
saver.sizes_in = sizes_in


def in_order(prediction: EvalPrediction) -> dict[str, float]:
    """A metric that any other order of the examples changes."""
    return {"in_order": float(sum(number * int(row[0]) for number, row in enumerate(prediction.label_ids, 1)))}


measured = Trainer(
    model,
    TrainingArguments(
        output_dir=folder / "ema",
        use_cpu=True,
        max_steps=3,
        ema_decay=0.5,
        per_device_eval_batch_size=2,
        eval_strategy="steps",
        eval_steps=1,
    ),
    train_dataset=examples(24),
    eval_dataset=examples(7),
    callbacks=[],
    strategy=FSDP2(reshard_after_forward=False),
    compute_metrics=in_order,
)
measured.train()
measured.save_model()
told["metric"] = str(measured.evaluate()["eval_in_order"])
everyone = world.gather({"saved": saved, "read": read, "told": told})
if world.is_main:
    (folder / "told.json").write_text(json.dumps(everyone))
