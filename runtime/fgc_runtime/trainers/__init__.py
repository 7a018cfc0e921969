"""The training loop and its arguments."""

from fgc_runtime.trainers.arguments import TrainingArguments
from fgc_runtime.trainers.checkpoints.checkpoints import ResumeRefused, SaveFailed
from fgc_runtime.trainers.loop.control import TrainingInterrupted
from fgc_runtime.trainers.loop.metrics import EvalPrediction, token_accuracy
from fgc_runtime.trainers.losses.distillation import DistillationLoss
from fgc_runtime.trainers.losses.preference import DPOLoss, ORPOLoss, PreferenceLoss, SimPOLoss
from fgc_runtime.trainers.losses.training_loss import NextTokenLoss, Terms, TrainingLoss
from fgc_runtime.trainers.setup.ranks import RanksDiffer
from fgc_runtime.trainers.strategies import DDP, FSDP2, Accelerate, Pipeline, SingleDevice, Strategy
from fgc_runtime.trainers.trainer import Trainer

__all__ = [
    "DDP",
    "FSDP2",
    "Accelerate",
    "DPOLoss",
    "DistillationLoss",
    "EvalPrediction",
    "NextTokenLoss",
    "ORPOLoss",
    "Pipeline",
    "PreferenceLoss",
    "RanksDiffer",
    "ResumeRefused",
    "SaveFailed",
    "SimPOLoss",
    "SingleDevice",
    "Strategy",
    "Terms",
    "Trainer",
    "TrainingArguments",
    "TrainingInterrupted",
    "TrainingLoss",
    "token_accuracy",
]
