"""Karapetian et al. (2023): scenes in the EEG and in feed-forward and recurrent networks; here on a synthetic twin.

Paper: J Cogn Neurosci 35(11), 1879-1897, doi 10.1162/jocn_a_02043; 30 people, 60 scenes, 63 channels. Its data are
behind a download that cannot be had here, so nothing below is about people (``karapetian2023.load`` reads the files in
the layout of the authors' code). Expected on the twin, where a feed-forward geometry was planted at 120 ms and a
recurrent one at 180 ms: peaks within 20 ms of these, in that order, and differences of the two models that are negative
first and positive later. Protocol: ``KARAPETIAN_2023``, whose departures are written into the summary.
"""

from pathlib import Path
from typing import Annotated

import typer

from neuroling import LeaveOneOutCeiling, Result, SignFlip, combine, evaluate, model_rdms, pairwise, report, spearman
from neuroling.data import karapetian2023
from neuroling.evaluation import peak_latency
from neuroling.report import Exhibit, axes_to_png, compare_with_expected, figure_to_png, plot_curve, write_exhibits
from neuroling.rsa import (
    KARAPETIAN_2023,
    FixedRDM,
    decoding_rdms,
    neighbours_within,
    rdms,
    rdms_of_others,
    stack_models,
)

EXPECTED = Path(__file__).parent / "expected" / "karapetian2023.json"
WINDOW = (0.0, 0.4)  # s; where peaks are looked for, fixed beforehand
CAPTIONS = {
    "decoding": "Pairwise decoding accuracy, mean over pairs of scenes; band: people.",
    "rsa": "Similarity of both models with the EEG, ceiling in grey; bars: false discovery rate below 0.05.",
    "difference": "Recurrent less feed-forward; bar: cluster mass, p < 0.05.",
    "mds": "Scenes at the peak of decoding, as far apart as they are told apart.",
    "strip": "Crossnobis distances at four moments, scenes in order of their category.",
    "generalization": "Distances of one time compared with distances of another.",
    "topography": "Recurrent model by patch of channels.",
}
RADIUS = 0.06  # m; a patch holds a channel and those around it


def main(
    out: Annotated[Path, typer.Option(help="Folder for figures, result and summary.")] = Path("results/karapetian2023"),
    n_subjects: Annotated[int, typer.Option(help="People in the twin.")] = 12,
    n_items: Annotated[int, typer.Option(help="Scenes in the twin.")] = 20,
    n_draws: Annotated[int, typer.Option(help="Draws of pseudo-trials (the paper: 100).")] = 5,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
) -> Result:
    """Decode scenes, compare two models with the EEG over time, and draw the paper's kinds of figure."""
    out.mkdir(parents=True, exist_ok=True)
    stimuli, recording, features = karapetian2023.twin(n_subjects, n_items, rng=seed)
    groups = dict(stimuli.table["condition"])
    order = list(stimuli.table.sort_values("condition").index)
    models = stack_models(*(model_rdms(f, "correlation").assign_coords(model=[n]) for n, f in features.items()))

    accuracy = decoding_rdms(recording, n_pseudo=6, n_draws=n_draws, rng=seed)
    peak = accuracy.mean(["sample", "subject"]).idxmax("time").item()
    pairs = pairwise(models, recording, **KARAPETIAN_2023.pairs)
    people = {"ceiling": LeaveOneOutCeiling("subject"), "inference": SignFlip("subject", n_draws=2000)}
    result = evaluate(FixedRDM(), pairs, metric=spearman, rng=seed, **people)
    difference = result.difference("recurrent", "feed-forward").test(SignFlip(n_draws=2000, clusters="mass"), seed)
    latency = {n: peak_latency(result.score.sel(model=n), window=WINDOW, rng=seed) for n in features}
    positions = report.montage_positions(recording.channel.to_numpy())
    patches = pairwise(models, recording, patches=neighbours_within(positions, RADIUS), **KARAPETIAN_2023.pairs)
    light = evaluate(FixedRDM(), patches, metric=spearman)
    distances = rdms(recording, "crossnobis", noise="training folds")
    others = rdms_of_others(distances)
    generalization = combine(
        {
            str(name): evaluate(
                FixedRDM(), pairwise(others.sel(subject=name), distances.sel(subject=name)), metric=spearman
            )
            for name in others["subject"].to_numpy()
        },
        dim="subject",
    )
    mean = distances.mean("subject", keep_attrs=True)
    at_peak = accuracy.mean("subject", keep_attrs=True).sel(time=peak) - 0.5  # as far apart as above chance

    clear = difference.p_values("cluster") < 0.05
    times = [0.0, 0.12, 0.18, 0.24]
    pictures = {
        "decoding": axes_to_png(plot_curve(accuracy.mean("sample"), chance=0.5, label="accuracy"), synthetic=True),
        "rsa": axes_to_png(report.plot_models_over_time(result, correct="fdr")),
        "difference": axes_to_png(
            plot_curve(difference.score, significant=clear, label=difference.metric), synthetic=True
        ),
        "mds": axes_to_png(report.plot_mds(at_peak, groups, named=False)),
        "strip": figure_to_png(report.plot_rdm_strip(mean, times, order=order)),
        "generalization": axes_to_png(report.plot_generalization(generalization)),
        "topography": figure_to_png(
            report.plot_topographies(
                light.score.mean("subject").sel(model="recurrent"), times, label=light.metric, synthetic=True
            )
        ),
    }
    (out / "rdm.gif").write_bytes(report.animate_rdm(mean, order=order))
    lines = [f"decoding peaks at {1000 * peak:.0f} ms", *(f"{n} peaks at {found} s" for n, found in latency.items())]
    lines += [f"recurrent less feed-forward: {latency['recurrent'].less(latency['feed-forward'])} s"]
    lines += [f"clusters of the difference: {int(clear.sum())} times at p < 0.05"]
    (out / "summary.txt").write_text("\n".join([*lines, str(result), str(KARAPETIAN_2023)]), encoding="utf-8")
    print("\n".join([*lines, str(result)]))
    sections: dict[str, list[Exhibit | str]] = {
        "Time courses": [*lines, *(Exhibit(name, pictures[name], CAPTIONS[name]) for name in list(pictures)[:3])],
        "Geometry": [Exhibit(name, pictures[name], CAPTIONS[name]) for name in list(pictures)[3:]],
        "Departures from the published protocol": [str(KARAPETIAN_2023)],
    }
    title, options = "Scenes in the EEG, and two models of them", {"n_subjects": n_subjects, "n_draws": n_draws}
    write_exhibits(out, sections, title=title, provenance={**options, "seed": seed}, synthetic=True)
    result.save(out / "result.nc")
    compare_with_expected({"decoding": peak, **{n: found.estimate for n, found in latency.items()}}, EXPECTED)
    return result
