"""What a layer knows: structural probes, mixtures of layers, control tasks, and what attention heads look at."""
