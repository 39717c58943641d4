"""Public names of neuroling.data, one line each, read by type checkers and by neuroling/lazy_names.py."""

from neuroling.data.at_hand import real_or_twin as real_or_twin
from neuroling.data.bids import find_files as find_files
from neuroling.data.eeg import from_epochs as from_epochs
from neuroling.data.eeg import from_raw as from_raw
from neuroling.data.eeg import from_source_estimates as from_source_estimates
from neuroling.data.eeg import source_positions as source_positions
from neuroling.data.embedded import sample as sample
from neuroling.data.fetch import locate as locate
from neuroling.data.fmri import to_image as to_image
from neuroling.data.fmri_runs import read_runs as read_runs
from neuroling.data.loaders import alice2016 as alice2016
from neuroling.data.loaders import hyakunin_isshu as hyakunin_isshu
from neuroling.data.loaders import jsts_ja as jsts_ja
from neuroling.data.loaders import karapetian2023 as karapetian2023
from neuroling.data.loaders import mitchell2008 as mitchell2008
from neuroling.data.loaders import neurosynth as neurosynth
from neuroling.data.loaders import nieuwland2018 as nieuwland2018
from neuroling.data.loaders import ud_english_ewt as ud_english_ewt
from neuroling.data.loaders import vanvliet2018 as vanvliet2018
from neuroling.data.loaders import vanvliet_wordpairs as vanvliet_wordpairs
from neuroling.data.loaders.ud_english_ewt import Treebank as Treebank
from neuroling.data.participants import join_subjects as join_subjects
from neuroling.data.sources import open_nifti as open_nifti
from neuroling.data.tables import read_table as read_table
from neuroling.data.trials import from_arrays as from_arrays
from neuroling.data.word_files import read_words as read_words
