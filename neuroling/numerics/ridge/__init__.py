"""Ridge regression: decompositions, searches over alpha, closed forms of held-out errors, banded and kernel ridge."""
