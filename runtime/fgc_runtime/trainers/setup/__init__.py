"""The work before the first step: makes the optimizer, compares processes, and warns."""
