"""Model components in ordinary PyTorch; the compiler copies what a model uses into its generated package."""
