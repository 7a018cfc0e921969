"""Strategies: the ways in which the processes of a run share one model. The training loop is the same for all."""

from fgc_runtime.trainers.strategies.accelerate import Accelerate
from fgc_runtime.trainers.strategies.base import FullModel, Strategy
from fgc_runtime.trainers.strategies.ddp import DDP
from fgc_runtime.trainers.strategies.fsdp2 import FSDP2
from fgc_runtime.trainers.strategies.pipeline import Pipeline
from fgc_runtime.trainers.strategies.single import SingleDevice

__all__ = ["DDP", "FSDP2", "Accelerate", "FullModel", "Pipeline", "SingleDevice", "Strategy"]
