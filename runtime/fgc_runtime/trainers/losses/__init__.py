"""Losses: a model and a batch to sums over label tokens, for training to minimise. Knows no steps and no processes."""
