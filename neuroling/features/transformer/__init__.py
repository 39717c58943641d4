"""Hidden states, attention and surprisal of pretrained Transformers."""
