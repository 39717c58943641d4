"""Data set cards, downloads, loaders and synthetic twins."""
