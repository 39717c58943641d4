"""Representational similarity: dissimilarities of item pairs, models of them, comparisons over time."""
