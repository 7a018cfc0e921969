"""A compiled configuration to a job on other machines: files and commands, which a dry run prints as they are."""
