"""The training loop and its arguments."""

from fgc_runtime.trainers.arguments import TrainingArguments
from fgc_runtime.trainers.checkpoints import ResumeRefused, SaveFailed
from fgc_runtime.trainers.distillation import DistillationLoss
from fgc_runtime.trainers.interrupts import TrainingInterrupted
from fgc_runtime.trainers.metrics import EvalPrediction, token_accuracy
from fgc_runtime.trainers.ranks import RanksDiffer
from fgc_runtime.trainers.strategies import DDP, FSDP2, Accelerate, Pipeline, SingleDevice, Strategy
from fgc_runtime.trainers.trainer import Trainer
from fgc_runtime.trainers.training_loss import NextTokenLoss, Terms, TrainingLoss

__all__ = [
    "DDP",
    "FSDP2",
    "Accelerate",
    "DistillationLoss",
    "EvalPrediction",
    "NextTokenLoss",
    "Pipeline",
    "RanksDiffer",
    "ResumeRefused",
    "SaveFailed",
    "SingleDevice",
    "Strategy",
    "Terms",
    "Trainer",
    "TrainingArguments",
    "TrainingInterrupted",
    "TrainingLoss",
    "token_accuracy",
]
