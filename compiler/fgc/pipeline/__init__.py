"""The stages strung together, from a name to a graph or a program."""
