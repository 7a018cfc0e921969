"""YAML text to nodes that remember where they were written.

Knows nothing of construction tags: `!call:torch:randn` is only a string here.
"""

from fgc.yaml.compose import compose
from fgc.yaml.nodes import AliasNode, Composition, Label, MappingNode, Node, Place, ScalarNode, SequenceNode
from fgc.yaml.scalars import TooManyDigits, UnsupportedScalar, scalar_type, scalar_value, standard_type

__all__ = [
    "AliasNode",
    "Composition",
    "Label",
    "MappingNode",
    "Node",
    "Place",
    "ScalarNode",
    "SequenceNode",
    "TooManyDigits",
    "UnsupportedScalar",
    "compose",
    "scalar_type",
    "scalar_value",
    "standard_type",
]
