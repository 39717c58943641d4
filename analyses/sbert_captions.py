"""Captions of one kind lie together in Sentence-BERT's space, and its similarities follow people's.

Data: captions in six groups made up for this script, and JSTS 1.3 (Kurihara et al. 2022), 1,457 pairs of Japanese
captions rated by people, CC BY-SA 4.0.
Claim: the map of embeddings separates the groups. Expected: characters shared by two Japanese captions (Jaccard of
pairs of letters) correlate with the ratings at Spearman 0.66. MiniLM is made for English, so it is expected to do worse
there; a Japanese model can be given by folder. The map is drawn by UMAP where umap-learn is installed (extra ``umap``),
else by t-SNE; its title says which.
"""

import importlib.util
import warnings
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer
import xarray as xr
from matplotlib.figure import Figure
from scipy.stats import spearmanr
from sklearn.manifold import TSNE, trustworthiness
from sklearn.metrics import silhouette_score

from neuroling import Result, Stimuli, embed_sentences, load_encoder
from neuroling.data import jsts_ja, real_or_twin
from neuroling.evaluation import Provenance, current_versions, now
from neuroling.features import Encoder
from neuroling.report import Exhibit, compare_with_expected, figure_to_png, write_exhibits

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
    out.mkdir(parents=True, exist_ok=True)
    encoders = {"MiniLM": load_encoder(), "MiniLM, untrained": load_encoder(untrained=seed)}
    encoders |= {Path(folder).name: load_encoder(folder) for folder in models or []}
    captions = grouped()
    picture, quality = draw_map(captions, encoders["MiniLM"], seed)
    pairs = real_or_twin("jsts_ja", jsts_ja.load, lambda: jsts_ja.twin(300, rng=seed))
    similarities = {"shared pairs of letters": shared_letters(pairs)}
    similarities |= {name: cosines(pairs, encoder, out / "cache") for name, encoder in encoders.items()}
    rho = [float(spearmanr(values, pairs.similarity).statistic) for values in similarities.values()]
    score = xr.DataArray([rho], dims=("split", "model"), coords={"model": list(similarities)})
    provenance = Provenance(
        options={f"{name} weights": encoder.weights_sha256 for name, encoder in encoders.items()},
        seed=str(seed),
        synthetic=bool(pairs.similarity.attrs["synthetic"]),
        versions=current_versions(),
        created=now(),
    )
    result = Result.of(score, metric="spearman", provenance=provenance)
    result.save(out / "result.nc")
    ratings = pd.DataFrame({"model": list(similarities), "Spearman": rho})
    sections: dict[str, list[Exhibit | str]] = {
        "Map of captions": [Exhibit("map", picture, f"Made-up captions by what they show; {quality}.")],
        "Rated pairs": [
            Exhibit("spearman", ratings, f"{len(pairs.first)} pairs of Japanese captions, people's ratings.")
        ],
    }
    title, synthetic = "Vectors of captions", provenance.synthetic
    write_exhibits(out, sections, title=title, provenance={"seed": seed}, synthetic=synthetic)
    for name, value in zip(similarities, rho, strict=True):
        print(f"JSTS{' (SYNTHETIC)' if provenance.synthetic else ''}, {name}: Spearman {value:.3f}")
    if not provenance.synthetic:
        found = {f"JSTS, {name}": value for name, value in zip(similarities, rho, strict=True)}
        compare_with_expected({**found, "silhouette": quality["silhouette"]}, EXPECTED)
    return result


def grouped() -> Stimuli:
    """Give the captions with their groups as condition."""
    rows = [(text, group) for group, texts in GROUPS.items() for text in texts.split("|")]
    return Stimuli.from_texts([text for text, _ in rows], condition=[group for _, group in rows])


def draw_map(captions: Stimuli, encoder: Encoder, seed: int) -> tuple[bytes, dict[str, float]]:
    """Draw the captions, coloured by group, and say how far to trust the map."""
    vectors = embed_sentences(captions, encoder).to_numpy()
    group = captions.table["condition"].to_numpy()
    method, places = flatten(vectors, seed)
    trust = trustworthiness(vectors, places, n_neighbors=5, metric="cosine")
    apart = silhouette_score(vectors, group, metric="cosine")
    figure = Figure(figsize=(7.5, 6), layout="constrained")
    axes = figure.subplots()
    for name in GROUPS:
        axes.scatter(*places[group == name].T, label=name)
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    axes.set_title(f"Made-up captions, {encoder.name}, {method}: trustworthiness {trust:.2f}, silhouette {apart:.2f}")
    axes.set_xticks([])
    axes.set_yticks([])
    print(f"map: silhouette of the groups {apart:.3f} (cosine), trustworthiness {trust:.3f} ({method})")
    quality = {"silhouette": round(float(apart), 4), f"trustworthiness, {method}": round(float(trust), 4)}
    return figure_to_png(figure), quality


def flatten(vectors: np.ndarray, seed: int) -> tuple[str, np.ndarray]:
    """Bring vectors to two dimensions, and say how."""
    if importlib.util.find_spec("umap") is None:
        places = TSNE(perplexity=5, init="pca", metric="cosine", random_state=seed).fit_transform(vectors)
        return "t-SNE", np.asarray(places)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImportWarning)  # of its parametric relative, which needs Tensorflow
        from umap import UMAP

    reducer = UMAP(n_neighbors=8, min_dist=0.3, metric="cosine", random_state=seed, n_jobs=1)
    return "UMAP", np.asarray(reducer.fit_transform(vectors))


def cosines(pairs: jsts_ja.SentencePairs, encoder: Encoder, cache: Path) -> np.ndarray:
    """Compare both sides of every pair."""
    texts = list(dict.fromkeys([*pairs.first.texts, *pairs.second.texts]))
    vectors = embed_sentences(Stimuli.from_texts(texts), encoder, cache=cache)
    first, second = (vectors.sel(sample=side.texts).to_numpy() for side in (pairs.first, pairs.second))
    return np.asarray((first * second).sum(1))


def shared_letters(pairs: jsts_ja.SentencePairs) -> list[float]:
    """Share of pairs of neighbouring letters that two sentences have in common."""
    sides = [[{a + b for a, b in pairwise(text)} for text in side.texts] for side in (pairs.first, pairs.second)]
    return [len(a & b) / max(1, len(a | b)) for a, b in zip(*sides, strict=True)]
