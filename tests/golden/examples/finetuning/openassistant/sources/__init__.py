"""Local Python files that the configuration names, copied when it was built."""
