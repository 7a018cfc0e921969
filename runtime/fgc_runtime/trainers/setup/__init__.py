"""The work before the first step: parts to make, processes to compare, warnings to give."""
