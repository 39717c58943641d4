"""Features without a Transformer: static vectors, n-grams, co-occurrence, tf-idf, lexical controls."""
