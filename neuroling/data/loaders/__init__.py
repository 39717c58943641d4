"""One module a data set: ``load`` reads it, ``write_twin`` writes a synthetic one laid out alike, ``twin`` both."""
