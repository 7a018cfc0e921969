"""What generated programs import: training, data, checkpoints and serving."""

__version__ = "0.1.0"
