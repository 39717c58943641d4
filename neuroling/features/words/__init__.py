"""Words in text: where they begin and end, which tokens are theirs, and what context they are read in."""
