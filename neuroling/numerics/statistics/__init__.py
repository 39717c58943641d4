"""Mixed models, clusters, correlations."""
