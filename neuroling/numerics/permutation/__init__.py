"""Scores under permutations of the samples, without refitting."""
