"""``neuroling encode BOLD… --words``: from preprocessed runs and words to scores, maps and a page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from neuroling.core.protocols import Inference, Splitter
    from neuroling.core.result import Result

STRIDE = 20
"""Words taken from one reading of the model, so that a story is read in seconds."""


@dataclass(frozen=True)
class WordOptions:
    """What the command line says of words, model and controls.

    Attributes
    ----------
    words : list of pathlib.Path
        Tables or TextGrids, one per run.
    model : str
        Language model, as ``load_encoder`` takes it.
    layer : str or None
        Its layer; the last by default.
    text_column : str or None
        Column, or tier of TextGrids, that holds the words.
    context : int
        Words of context.
    delays : str or None
        ``FROM-TO`` in volumes, or the name of a canonical response.
    controls : str
        ``default`` or ``none``.
    ceiling : str
        ``auto`` or ``none``.
    confounds : str or None
        Strategy of nilearn.
    high_pass_s : float
        Longest period kept, in seconds; 0 for no filter beside the confounds.
    frequency : str or None
        Code of a language.
    """

    words: list[Path]
    model: str
    layer: str | None
    text_column: str | None
    context: int
    delays: str | None
    controls: str
    ceiling: str
    confounds: str | None
    high_pass_s: float
    frequency: str | None

    def response(self) -> Any:
        """Read the delays: volumes, or a canonical response."""
        text = self.delays or "1-4"
        if text in ("spm", "glover"):
            return text
        first, dash, last = text.partition("-")
        if not (first.isdecimal() and (last.isdecimal() if dash else True)) or (dash and int(last) < int(first)):
            raise typer.BadParameter(
                f"got {text!r}; expected volumes such as 1-4, or spm or glover.", param_hint="--delays"
            )
        return range(int(first), int(last or first) + 1)

    def layer_number(self) -> int:
        """Read the layer as a number."""
        try:
            return int(self.layer or -1)
        except ValueError as error:
            raise typer.BadParameter(f"got {self.layer!r}; expected a number.", param_hint="--layer") from error

    def check(self) -> None:
        """Refuse values that are not known."""
        for option, text, accepted in (
            ("--controls", self.controls, ("default", "none")),
            ("--ceiling", self.ceiling, ("auto", "none")),
        ):
            if text not in accepted:
                raise typer.BadParameter(f"got {text!r}; expected {' or '.join(accepted)}.", param_hint=option)
        self.response()
        self.layer_number()


def encode_words(
    bold: list[Path],
    options: WordOptions,
    *,
    mask: Path | None,
    alphas: list[float],
    splitter: Splitter,
    inference: Inference | None,
    seed: int,
    device: str,
) -> tuple[Result, list[str]]:
    """Read runs and words, and predict every voxel from the model and from each control.

    Parameters
    ----------
    bold : list of pathlib.Path
        Preprocessed runs with BIDS names.
    options : WordOptions
        Words, model, controls.
    mask : pathlib.Path, optional
        Voxels to take.
    alphas : list of float
        Regularization strengths.
    splitter : Splitter
        What is held out.
    inference : Inference, optional
        The null.
    seed : int
        Seed of the null and of the untrained network.
    device : str
        Where to fit.

    Returns
    -------
    result : Result
        With the axis ``model``.
    controls : list of str
        Which models are controls.
    """
    from neuroling.core.align import align
    from neuroling.data.fmri_runs import read_runs
    from neuroling.data.word_files import read_words
    from neuroling.encoding.nuisance import clean_spaces, remove_nuisance
    from neuroling.encoding.ridge import RidgeCV
    from neuroling.encoding.words_in_volumes import in_volumes
    from neuroling.evaluation.ceilings import choose_ceiling
    from neuroling.evaluation.evaluate import evaluate
    from neuroling.evaluation.metrics import pearson
    from neuroling.features.baselines import word_controls
    from neuroling.features.story import embed_words_in_context

    given = options.words[0] if len(options.words) == 1 else options.words
    tier = {"tier": options.text_column} if options.text_column else {}
    words = read_words(given, text_column=options.text_column, **tier)
    recording, nuisances = read_runs(bold, mask=mask, confounds=options.confounds)
    reading: dict[str, Any] = {
        "layer": options.layer_number(),
        "window": options.context,
        "stride": STRIDE,
    }
    controls = (
        word_controls(words, options.model, frequency=options.frequency, seed=seed, **reading)
        if options.controls == "default"
        else {}
    )
    by_word = {**controls, options.model: embed_words_in_context(words, options.model, **reading)}
    cleaning: dict[str, Any] = {
        "confounds": nuisances,
        "splits": splitter,
        "high_pass_s": options.high_pass_s or None,
    }
    spaces = clean_spaces(in_volumes(by_word, recording, response=options.response()), recording, **cleaning)
    cleaned = remove_nuisance(recording, recording, standardize=True, **cleaning)
    result = evaluate(
        RidgeCV(alphas, folds=splitter, device=device),
        align(spaces, cleaned),
        splits=splitter,
        metric=pearson,
        ceiling=choose_ceiling(cleaned) if options.ceiling == "auto" else None,
        inference=inference,
        rng=seed,
    )
    return result, list(controls)
