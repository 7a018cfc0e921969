"""Lowers YAML nodes to the typed graph: tags become calls.

No later stage knows YAML. A node that is unusable because of a mistake becomes a null, and a finding reports it.
"""

from fgc.lower.lowerer import lower

__all__ = ["lower"]
