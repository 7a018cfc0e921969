"""Says what keeps a conversion from being done; loads nothing heavy."""


class ConvertError(Exception):
    """A model cannot be converted; the message names the values, the rule, and what to do."""
