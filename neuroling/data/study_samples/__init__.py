"""Small synthetic files in exact layout, on which a new study runs before its own files are there."""
