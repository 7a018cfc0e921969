"""Runs on disk: folders that are complete or absent, models that `from_pretrained` loads, state to resume from."""

from fgc_runtime.checkpoint.folders import (
    checkpoint_folder,
    find_checkpoints,
    latest_checkpoint,
    remove_old_checkpoints,
    set_aside,
    written_whole,
)
from fgc_runtime.checkpoint.model import load_weights, publish_model, save_model
from fgc_runtime.checkpoint.state import RandomState, load_training_state, read_trainer_state, save_training_state

__all__ = [
    "RandomState",
    "checkpoint_folder",
    "find_checkpoints",
    "latest_checkpoint",
    "load_training_state",
    "load_weights",
    "publish_model",
    "read_trainer_state",
    "remove_old_checkpoints",
    "save_model",
    "save_training_state",
    "set_aside",
    "written_whole",
]
