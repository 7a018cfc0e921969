"""Layers dealt out to processes; micro-batches travel through them."""

from fgc_runtime.trainers.strategies.pipeline.strategy import Pipeline

__all__ = ["Pipeline"]
