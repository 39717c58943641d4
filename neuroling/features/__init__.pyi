"""Public names of neuroling.features, one line each, read by type checkers and by neuroling/lazy_names.py."""

from neuroling.features.baselines import item_controls as item_controls
from neuroling.features.baselines import word_controls as word_controls
from neuroling.features.lexical.controls import control_table as control_table
from neuroling.features.lexical.controls import zipf_frequency as zipf_frequency
from neuroling.features.lexical.ngram import NGram as NGram
from neuroling.features.lexical.ngram import fit_ngram as fit_ngram
from neuroling.features.lexical.static_vectors import static_vectors as static_vectors
from neuroling.features.lexical.tfidf import concatenate as concatenate
from neuroling.features.lexical.tfidf import tfidf_svd as tfidf_svd
from neuroling.features.lexical.vector_files import load_vectors as load_vectors
from neuroling.features.sentence import embed_sentences as embed_sentences
from neuroling.features.story import embed_words_in_context as embed_words_in_context
from neuroling.features.story import word_length as word_length
from neuroling.features.story import word_rate as word_rate
from neuroling.features.surprisal import next_words as next_words
from neuroling.features.surprisal import surprisal as surprisal
from neuroling.features.transformer.attention import attention as attention
from neuroling.features.transformer.devices import on_devices as on_devices
from neuroling.features.transformer.encoder import Encoder as Encoder
from neuroling.features.transformer.encoder import load_encoder as load_encoder
from neuroling.features.transformer.language_models import load_language_model as load_language_model
from neuroling.features.words.context import Overlapping as Overlapping
from neuroling.features.words.context import Rolling as Rolling
from neuroling.features.words.context import Whole as Whole
from neuroling.features.words.words import split_words as split_words
from neuroling.features.words.words import words_at as words_at
