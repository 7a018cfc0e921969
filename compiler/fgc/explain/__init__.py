"""A path into a configuration to what set it, what it overrode, and what fed it."""
