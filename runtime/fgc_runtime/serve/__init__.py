"""A model folder in, the OpenAI HTTP API out: `python -m fgc_runtime.serve DIR`."""
