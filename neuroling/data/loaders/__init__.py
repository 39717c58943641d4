"""One module a data set: real files in, stimuli and recording out."""
