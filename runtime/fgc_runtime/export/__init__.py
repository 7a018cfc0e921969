"""A model in the formats of other programs: GGUF for llama.cpp."""
