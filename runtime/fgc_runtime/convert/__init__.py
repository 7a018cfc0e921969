"""Weights from one naming to another: Hugging Face model folders and generated model packages, both ways."""
