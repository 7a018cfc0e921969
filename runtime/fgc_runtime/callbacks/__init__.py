"""What watches a training run: progress, logs, samples. A callback may ask the loop to save, evaluate or stop."""

from fgc_runtime.callbacks.base import TrainerCallback, TrainerControl, TrainerState, TrainingRun
from fgc_runtime.callbacks.control import TrainerControlCallback
from fgc_runtime.callbacks.json_log import JsonLogCallback
from fgc_runtime.callbacks.progress import ProgressCallback, readable
from fgc_runtime.callbacks.tensorboard import TensorBoardCallback
from fgc_runtime.callbacks.text_sample import TextSampleCallback

__all__ = [
    "JsonLogCallback",
    "ProgressCallback",
    "TensorBoardCallback",
    "TextSampleCallback",
    "TrainerCallback",
    "TrainerControl",
    "TrainerControlCallback",
    "TrainerState",
    "TrainingRun",
    "readable",
]
