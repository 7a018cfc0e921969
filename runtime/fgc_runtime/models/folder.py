"""Says what is wrong with a model's folder; loads nothing heavy."""


class ModelError(Exception):
    """A model cannot be opened or used; the message says why and what to do."""
