"""Stimuli to features."""
