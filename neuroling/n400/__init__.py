"""The N400 simulator: lexicon, excitatory–inhibitory network, alpha function, experiments, measures, effects."""
