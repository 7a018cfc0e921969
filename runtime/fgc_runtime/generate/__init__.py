"""Tokens out of a transformers model: many requests share one running batch.

Knows no HTTP and no JSON; `fgc_runtime.serve` is its first user.
"""
