"""AST and variables to one YAML document, through inheritance; every character keeps its origin."""
