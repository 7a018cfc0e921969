"""Template text to AST, with the place of everything."""
