"""Runs on disk: folders that are complete or absent, models that `from_pretrained` loads, state to resume from."""

from fgc_runtime.checkpoint.folders import (
    checkpoint_folder,
    find_checkpoints,
    latest_checkpoint,
    remove_leftovers,
    remove_old_checkpoints,
    set_aside,
    step_of,
    written_whole,
)
from fgc_runtime.checkpoint.gathering import Shown
from fgc_runtime.checkpoint.manifest import DamagedCheckpoint, metrics_of, read_manifest, verify
from fgc_runtime.checkpoint.model import code_of, keep_model, publish_model, save_model
from fgc_runtime.checkpoint.roots import latest_in, lead_to, root_of_run, roots_in
from fgc_runtime.checkpoint.saver import Export, Saved, Saver, Snapshot
from fgc_runtime.checkpoint.state import (
    RandomState,
    TrainingState,
    kept_random_states,
    load_training_state,
    read_trainer_state,
    save_training_state,
)
from fgc_runtime.checkpoint.tensors import CheckpointMismatch, Staging, Tensors, join, load_tensors, save_tensors, split

__all__ = [
    "CheckpointMismatch",
    "DamagedCheckpoint",
    "Export",
    "RandomState",
    "Saved",
    "Saver",
    "Shown",
    "Snapshot",
    "Staging",
    "Tensors",
    "TrainingState",
    "checkpoint_folder",
    "code_of",
    "find_checkpoints",
    "join",
    "keep_model",
    "kept_random_states",
    "latest_checkpoint",
    "latest_in",
    "lead_to",
    "load_tensors",
    "load_training_state",
    "metrics_of",
    "publish_model",
    "read_manifest",
    "read_trainer_state",
    "remove_leftovers",
    "remove_old_checkpoints",
    "root_of_run",
    "roots_in",
    "save_model",
    "save_tensors",
    "save_training_state",
    "set_aside",
    "split",
    "step_of",
    "verify",
    "written_whole",
]
