"""Captions of one kind lie together in Sentence-BERT's space, and its similarities follow people's.

Data: captions in six groups made up for this script, and JSTS 1.3 (Kurihara et al. 2022), 1,457 pairs of Japanese
captions rated by people, CC BY-SA 4.0.
Claim: the map of embeddings separates the groups. Expected: characters shared by two Japanese captions (Jaccard of
pairs of letters) correlate with the ratings at Spearman 0.66. MiniLM is made for English, so it is expected to do worse
there; a Japanese model can be given by folder. The map is drawn by UMAP where umap-learn is installed (extra ``umap``),
else by t-SNE; its title says which.
"""

from itertools import pairwise
from pathlib import Path
from typing import Annotated

import typer
import xarray as xr
from sklearn.metrics import silhouette_score

from neuroling import Result, Stimuli, align, embed_sentences, evaluate, load_encoder, spearman
from neuroling.data import jsts_ja, real_or_twin
from neuroling.features import sentence_similarity
from neuroling.report import Exhibit, plot_vector_map, write_analysis
from neuroling.rsa import FixedRDM

EXPECTED = Path(__file__).parent / "expected" / "sbert_captions.json"

GROUPS = {
    "harbour": "a ship in the harbour|boats moored at the pier|fishing boats come in at dawn|a ferry leaves the quay|"
    "gulls circle above the docks|sailors tie up a sailing boat",
    "kitchen": "a chef slices tomatoes|soup simmers on the stove|bread is baking in the oven|a woman peels potatoes|"
    "two cooks stir a large pot|a man washes the dishes",
    "football": "a striker shoots at the goal|the goalkeeper catches the ball|fans cheer in the stadium|"
    "the referee shows a red card|players run across the pitch|a boy dribbles past a defender",
    "classroom": "a teacher writes on the blackboard|pupils raise their hands|children read aloud from a book|"
    "a girl solves a sum|students take an exam|the class listens to the lesson",
    "mountain": "hikers climb a steep path|snow covers the peak|a hut stands below the summit|"
    "clouds drift along the ridge|a climber hangs from a rock face|goats graze on an alpine meadow",
    "office": "a clerk types on a computer|colleagues meet around a table|the printer is out of paper|"
    "a manager signs a contract|she answers the phone at her desk|papers are piled up on a desk",
}


def main(
    out: Annotated[Path, typer.Option(help="Folder for map and result.")] = Path("results/sbert_captions"),
    models: Annotated[list[str] | None, typer.Option(help="Folders of further models, one option each.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the map, the twin and the untrained weights.")] = 0,
) -> Result:
    """Draw the map of captions and compare similarities with people's ratings."""
    encoders = {"MiniLM": load_encoder(), "MiniLM, untrained": load_encoder(untrained=seed)}
    encoders |= {Path(folder).name: load_encoder(folder) for folder in models or []}
    captions = grouped()
    vectors, group = embed_sentences(captions, encoders["MiniLM"]), captions.table["condition"].tolist()
    apart = float(silhouette_score(vectors.to_numpy(), group, metric="cosine"))
    pairs = real_or_twin("jsts_ja", jsts_ja.load, lambda: jsts_ja.twin(300, rng=seed))
    similarities = {"shared pairs of letters": shared_letters(pairs)}
    for name, encoder in encoders.items():
        similarities[name] = sentence_similarity(pairs.first, pairs.second, encoder, cache=out / "cache")
    result = evaluate(FixedRDM(), align(similarities, pairs.similarity), metric=spearman)
    rho = result.score.to_series()
    ratings = f"{len(pairs.first)} pairs of Japanese captions, people's ratings."
    picture = plot_vector_map(vectors, group, rng=seed)
    picture.set_title(f"Made-up captions, MiniLM, {picture.get_title()}, silhouette {apart:.2f}")
    sections = {
        "Map of captions": [Exhibit("map", picture, f"Made-up captions by what they show; silhouette {apart:.4f}.")],
        "Rated pairs": [Exhibit("spearman", rho.rename("Spearman").reset_index(), ratings)],
    }
    numbers = {**{f"JSTS, {name}": value for name, value in rho.items()}, "silhouette": apart}
    options = {"title": "Vectors of captions", "options": {"seed": seed}, "numbers": numbers, "expected": EXPECTED}
    write_analysis(out, sections, {"result": result}, **options)
    print(f"map: silhouette of the groups {apart:.3f} (cosine)\n{rho.round(3).to_string()}")
    return result


def grouped() -> Stimuli:
    """Give the captions with their groups as condition."""
    rows = [(text, group) for group, texts in GROUPS.items() for text in texts.split("|")]
    return Stimuli.from_texts([text for text, _ in rows], condition=[group for _, group in rows])


def shared_letters(pairs: jsts_ja.SentencePairs) -> xr.DataArray:
    """Share of pairs of neighbouring letters that two sentences have in common."""
    sides = [[{a + b for a, b in pairwise(text)} for text in side.texts] for side in (pairs.first, pairs.second)]
    shares = [[len(a & b) / max(1, len(a | b))] for a, b in zip(*sides, strict=True)]
    return pairs.first.features(shares, ["shared pairs of letters"])
