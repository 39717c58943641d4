"""Representational dissimilarity matrices: distances, ranks, comparison, bootstrap, decoding."""
