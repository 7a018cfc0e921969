"""YAML nodes to the typed graph: tags become calls.

Nothing behind this stage knows YAML. A node that a mistake makes unusable becomes a null, and a finding says so.
"""

from fgc.lower.lowerer import lower

__all__ = ["lower"]
