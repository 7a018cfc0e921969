"""YAML nodes to the typed graph: tags become calls."""
