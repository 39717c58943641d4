"""Pure functions on arrays and tensors: no labels, no state, no files."""
