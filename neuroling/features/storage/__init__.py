"""The cache of extracted features, and files of features."""
