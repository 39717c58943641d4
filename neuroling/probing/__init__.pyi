"""Public names of neuroling.probing, one line each, read by type checkers and by neuroling/lazy_names.py."""

from neuroling.probing.ablation import without_heads as without_heads
from neuroling.probing.attention import PATTERNS as PATTERNS
from neuroling.probing.attention import attention_rollout as attention_rollout
from neuroling.probing.attention import dependency_accuracy as dependency_accuracy
from neuroling.probing.attention import summarise_heads as summarise_heads
from neuroling.probing.mixing import LayerMixProbe as LayerMixProbe
from neuroling.probing.mixing import centre_of_gravity as centre_of_gravity
from neuroling.probing.mixing import control_labels as control_labels
from neuroling.probing.mixing import expected_layer as expected_layer
from neuroling.probing.mixing import stack_layers as stack_layers
from neuroling.probing.mixing import with_heads as with_heads
from neuroling.probing.pairs import WithinSentences as WithinSentences
from neuroling.probing.pairs import depth_spearman as depth_spearman
from neuroling.probing.pairs import distance_spearman as distance_spearman
from neuroling.probing.pairs import root_found as root_found
from neuroling.probing.pairs import sentence_spans as sentence_spans
from neuroling.probing.pairs import uuas as uuas
from neuroling.probing.pairs import word_depths as word_depths
from neuroling.probing.pairs import word_pairs as word_pairs
from neuroling.probing.structural import StructuralProbe as StructuralProbe
from neuroling.probing.trees import edges_of as edges_of
from neuroling.probing.trees import random_heads as random_heads
from neuroling.probing.trees import spanning_tree as spanning_tree
from neuroling.probing.trees import tree_distances as tree_distances
