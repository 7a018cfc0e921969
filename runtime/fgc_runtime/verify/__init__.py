"""Whether a program that is killed and resumed computes the numbers of one that never stopped: tried, not assumed."""
