"""Turns what trainings have logged into summaries and plots. Reads `trainer_logs.json`; loads no runtime."""
