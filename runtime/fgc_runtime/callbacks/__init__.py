"""Watchers of a training run: progress, logs, samples. A callback may ask the loop to save, evaluate or stop."""

from fgc_runtime.callbacks.base import TrainerCallback, TrainerControl, TrainerState, TrainingRun
from fgc_runtime.callbacks.control import TrainerControlCallback
from fgc_runtime.callbacks.divergence import DivergenceCallback
from fgc_runtime.callbacks.early_stopping import EarlyStoppingCallback
from fgc_runtime.callbacks.expert_balance import ExpertBalanceCallback
from fgc_runtime.callbacks.json_log import JsonLogCallback, read_log
from fgc_runtime.callbacks.memory import MemoryCallback
from fgc_runtime.callbacks.mlflow import MlflowCallback
from fgc_runtime.callbacks.norms import NormCallback
from fgc_runtime.callbacks.profiler import ProfilerCallback
from fgc_runtime.callbacks.progress import ProgressCallback, readable
from fgc_runtime.callbacks.task_evaluation import TaskEvaluationCallback
from fgc_runtime.callbacks.tensorboard import TensorBoardCallback
from fgc_runtime.callbacks.text_sample import TextSampleCallback
from fgc_runtime.callbacks.throughput import ThroughputCallback
from fgc_runtime.callbacks.trackio import TrackioCallback
from fgc_runtime.callbacks.trial import TrialCallback
from fgc_runtime.callbacks.wandb import WandbCallback

__all__ = [
    "DivergenceCallback",
    "EarlyStoppingCallback",
    "ExpertBalanceCallback",
    "JsonLogCallback",
    "MemoryCallback",
    "MlflowCallback",
    "NormCallback",
    "ProfilerCallback",
    "ProgressCallback",
    "TaskEvaluationCallback",
    "TensorBoardCallback",
    "TextSampleCallback",
    "ThroughputCallback",
    "TrackioCallback",
    "TrainerCallback",
    "TrainerControl",
    "TrainerControlCallback",
    "TrainerState",
    "TrainingRun",
    "TrialCallback",
    "WandbCallback",
    "read_log",
    "readable",
]
