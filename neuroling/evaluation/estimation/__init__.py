"""Effects with intervals where nothing is held out: mixed models, regressions, means over participants."""
