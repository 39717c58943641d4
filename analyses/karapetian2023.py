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
import xarray as xr

from neuroling import LeaveOneOutCeiling, Result, SignFlip, Stimuli, combine, evaluate, pairwise, report, rsa, spearman
from neuroling.data import karapetian2023
from neuroling.evaluation import peak_latency
from neuroling.report import Exhibit, plot_curve, write_analysis
from neuroling.rsa import KARAPETIAN_2023, FixedRDM

EXPECTED = Path(__file__).parent / "expected" / "karapetian2023.json"
PAIRS = KARAPETIAN_2023.pairs
WINDOW = (0.0, 0.4)  # s; where peaks are looked for, fixed beforehand
RADIUS = 0.06  # m; a patch holds a channel and those around it
MOMENTS = [0.0, 0.12, 0.18, 0.24]  # s; drawn
TITLE = "Scenes in the EEG, and two models of them"
ACCURACY = "Pairwise decoding accuracy, mean over pairs of scenes; band: people."


def main(
    out: Annotated[Path, typer.Option(help="Folder for figures, result and summary.")] = Path("results/karapetian2023"),
    n_subjects: Annotated[int, typer.Option(help="People in the twin.")] = 12,
    n_items: Annotated[int, typer.Option(help="Scenes in the twin.")] = 20,
    n_draws: Annotated[int, typer.Option(help="Draws of pseudo-trials (the paper: 100).")] = 5,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
) -> Result:
    """Decode scenes, compare two models with the EEG over time, and draw the paper's kinds of figure."""
    stimuli, recording, features = karapetian2023.twin(n_subjects, n_items, rng=seed)
    networks = {name: rsa.model_rdms(x, "correlation").assign_coords(model=[name]) for name, x in features.items()}
    models = rsa.stack_models(*networks.values())
    accuracy = rsa.decoding_rdms(recording, n_pseudo=6, n_draws=n_draws, rng=seed)
    peak = float(accuracy.mean(["sample", "subject"]).idxmax("time"))
    people = {"ceiling": LeaveOneOutCeiling("subject"), "inference": SignFlip("subject", n_draws=2000)}
    result = evaluate(FixedRDM(), pairwise(models, recording, **PAIRS), metric=spearman, rng=seed, **people)
    difference = result.difference("recurrent", "feed-forward").test(SignFlip(n_draws=2000, clusters="mass"), seed)
    latency = {name: peak_latency(result.score.sel(model=name), window=WINDOW, rng=seed) for name in features}
    lines = [f"decoding peaks at {1000 * peak:.0f} ms", *(f"{n} peaks at {found} s" for n, found in latency.items())]
    lines.append(f"recurrent less feed-forward: {latency['recurrent'].less(latency['feed-forward'])} s")
    sections = {
        "Time courses": [*lines, *time_courses(accuracy, result, difference)],
        "Geometry": geometry(stimuli, recording, models, accuracy.sel(time=peak), out),
        "Departures from the published protocol": [str(KARAPETIAN_2023)],
    }
    numbers = {"decoding": peak, **{name: found.estimate for name, found in latency.items()}}
    options = {"n_subjects": n_subjects, "n_draws": n_draws, "seed": seed}
    write_analysis(out, sections, {"result": result}, title=TITLE, options=options)
    report.compare_with_expected(numbers, EXPECTED)  # of the twin: there is nothing else
    print("\n".join([*lines, str(result)]))
    return result


def time_courses(accuracy: xr.DataArray, result: Result, difference: Result) -> list[Exhibit | str]:
    """Draw decoding, both models, and their difference over time."""
    clear = difference.p_values("cluster") < 0.05
    decoding = plot_curve(accuracy.mean("sample"), chance=0.5, label="accuracy")
    models = report.plot_models_over_time(result, correct="fdr")
    lead = plot_curve(difference.score, significant=clear, label=difference.metric)
    caption = "Similarity of both models with the EEG, ceiling in grey; bars: false discovery rate below 0.05."
    return [
        f"clusters of the difference: {int(clear.sum())} times at p < 0.05",
        Exhibit("decoding", decoding, ACCURACY),
        Exhibit("rsa", models, caption),
        Exhibit("difference", lead, "Recurrent less feed-forward; bar: cluster mass, p < 0.05."),
    ]


def geometry(
    stimuli: Stimuli, recording: xr.DataArray, models: xr.DataArray, at_peak: xr.DataArray, out: Path
) -> list[Exhibit | str]:
    """Draw how far apart scenes are, at the peak and over time, here and there on the scalp."""
    groups, order = dict(stimuli.table["condition"]), list(stimuli.table.sort_values("condition").index)
    distances = rsa.rdms(recording, "crossnobis", noise="training folds")
    mean = distances.mean("subject", keep_attrs=True)
    apart = at_peak.mean("subject", keep_attrs=True) - 0.5  # as far apart as above chance
    near = rsa.neighbours_within(report.montage_positions(recording.channel.to_numpy()), RADIUS)
    light = evaluate(FixedRDM(), pairwise(models, recording, patches=near, **PAIRS), metric=spearman).select(
        model="recurrent"
    )
    others = rsa.rdms_of_others(distances)
    by_person = {
        str(name): evaluate(
            FixedRDM(), pairwise(others.sel(subject=name), distances.sel(subject=name)), metric=spearman
        )
        for name in others["subject"].to_numpy()
    }
    scalp = report.plot_topographies(light.score.mean("subject"), MOMENTS, label=light.metric, synthetic=True)
    over_time = report.plot_generalization(combine(by_person, dim="subject"))
    out.mkdir(parents=True, exist_ok=True)
    (out / "rdm.gif").write_bytes(report.animate_rdm(mean, order=order))
    strip = report.plot_rdm_strip(mean, MOMENTS, order=order)
    return [
        Exhibit("mds", report.plot_mds(apart, groups, named=False), "Scenes at the peak of decoding."),
        Exhibit("strip", strip, "Crossnobis distances at four moments, scenes in order of their category."),
        Exhibit("generalization", over_time, "Distances of one time compared with distances of another."),
        Exhibit("topography", scalp, "Recurrent model by patch of channels."),
    ]
