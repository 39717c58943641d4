"""The shared nouns: stimuli, aligned pairs, protocols, results. No statistics in here."""
