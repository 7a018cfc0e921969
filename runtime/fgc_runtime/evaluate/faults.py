"""Says what keeps an evaluation from being done; loads nothing heavy."""


class EvaluationError(Exception):
    """An evaluation cannot be done; the message names the values, the rule, and what to do."""
