"""Data: cards, downloads, brain grids, loaders and their synthetic twins. Files are opened here and nowhere else."""
