"""Graph to Python files that a person would be glad to inherit."""
