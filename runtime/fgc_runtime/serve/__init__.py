"""Serves a model folder over the OpenAI HTTP API: `python -m fgc_runtime.serve DIR`."""
