"""Effects with their uncertainty, where nothing is held out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from neuroling.core.align import Aligned, AlignedSpaces
from neuroling.core.estimates import Estimates
from neuroling.core.protocols import Estimator, Inference, ScoresParticipants
from neuroling.core.provenance import Provenance, content_hash, current_versions, describe_seed, now
from neuroling.core.result import Result
from neuroling.evaluation.model_family import NAMELESS, members_of

Data = Aligned | AlignedSpaces | xr.DataArray


def estimate(
    model: Estimator | Mapping[str, Estimator],
    data: Data,
    *,
    inference: Inference | None = None,
    rng: int | np.random.Generator = 0,
) -> Result:
    r"""Estimate effects from all samples, with intervals and tests.

    The second of the package's two verbs: ``evaluate`` scores predictions of held-out samples, ``estimate`` says how
    large effects are.

    Parameters
    ----------
    model : Estimator or mapping of str to Estimator
        Such as ``MixedModel``, ``Regression`` or ``GroupMean``. A mapping gives an axis ``model``; an effect that a
        model lacks is NaN there.
    data : Aligned, AlignedSpaces or xarray.DataArray
        Features and recording from ``align`` or ``align_table``; for ``GroupMean`` an array (subject, \*targets).
    inference : Inference, optional
        Over participants, such as ``SignFlip("subject", clusters="tfce")``, for models of participants' values.
        Estimates have parametric p values without it.
    rng : int or numpy.random.Generator
        Seed of the inference.

    Returns
    -------
    Result
        ``score`` is the estimate, dims ([model,] [feature,] \*targets); ``result.estimates`` holds standard error,
        degrees of freedom, t, two-sided p and 95 % interval as well, ``result.diagnostics`` what belongs to the whole
        fit.

    Raises
    ------
    TypeError, ValueError
        If model and data do not fit together; the message says why.

    Examples
    --------
    >>> import pandas as pd
    >>> from neuroling import MixedModel, align_table
    >>> rng = np.random.default_rng(0)
    >>> reader, item = np.divmod(np.arange(200), 20)
    >>> x = rng.standard_normal(200)
    >>> rt = 300 + 20 * x + 9 * rng.standard_normal(10)[reader] + 30 * rng.standard_normal(200)
    >>> table = pd.DataFrame({"rt": rt, "surprisal": x, "reader": reader, "item": item})
    >>> model = MixedModel(["surprisal"], {"reader": ["1"]})
    >>> result = estimate(model, align_table(table, "rt", ["surprisal"]))
    >>> result.estimates.p.sel(feature="surprisal").item() < 0.001
    True
    """
    if isinstance(data, xr.DataArray):
        members: dict[str, tuple[Estimator, Aligned | xr.DataArray]] = {
            name: (each, data) for name, each in (model if isinstance(model, Mapping) else {NAMELESS: model}).items()
        }
    elif isinstance(data, Aligned | AlignedSpaces):
        members = dict(members_of(model, data))  # type: ignore[arg-type]  # it pairs whatever models there are
    else:
        raise TypeError(
            f"data: got {type(data).__name__}; expected align(features, recording), align_table(table, …), or a "
            "DataArray of participants' values for GroupMean."
        )
    for name, (each, _) in members.items():
        if isinstance(each, type) or not isinstance(each, Estimator):
            label = each.__name__ if isinstance(each, type) else type(each).__name__
            raise TypeError(
                f"model{f' {name!r}' if name else ''}: got {label}; expected an instance with a method estimate, such "
                "as MixedModel(…), Regression() or GroupMean(). Models that predict are for evaluate."
            )
    estimated = {name: each.estimate(values) for name, (each, values) in members.items()}
    result = _result(estimated, _provenance(members, estimated, describe_seed(rng)))
    (_, (first, values)) = next(iter(members.items()))
    if len(members) == 1 and isinstance(first, ScoresParticipants) and isinstance(values, xr.DataArray):
        result = result.scored_by(first.scoring(values))
    return result if inference is None else result.test(inference, rng)


def _result(estimated: Mapping[str, Estimates], provenance: Provenance) -> Result:
    """Lay estimates out; those of several models along an axis, with NaN for effects that a model lacks."""
    names = list(dict.fromkeys(_features(estimated)))
    parts = []
    for estimates in estimated.values():
        variables = {"score": estimates.estimate, **estimates.variables()}
        data = xr.Dataset({name: array.reset_coords(drop=True) for name, array in variables.items()})
        parts.append(data.reindex(feature=names) if names else data)
    if list(estimated) == [NAMELESS]:
        joined = parts[0]
    else:
        along = xr.DataArray(list(estimated), dims="model", name="model")
        joined = xr.concat(parts, along, join="exact", coords="minimal", compat="override", data_vars="all")
    joined = joined.transpose("model", "feature", ..., missing_dims="ignore")
    methods = {name: estimates.method for name, estimates in estimated.items()}
    is_same = len(set(methods.values())) == 1
    kind = next(iter(methods.values())).split(",")[0].split("(")[0].strip()
    method = next(iter(methods.values())) if is_same else "; ".join(f"{name}: {text}" for name, text in methods.items())
    base = Result.of(joined["score"].expand_dims("split"), metric=f"estimate, {kind}", provenance=provenance)
    data = joined.drop_vars("score").assign(score=base.data["score"])
    return Result(data.assign_attrs(base.data.attrs, estimated=method), provenance)


def _features(estimated: Mapping[str, Estimates]) -> list[str]:
    return [
        str(name)
        for estimates in estimated.values()
        if "feature" in estimates.estimate.dims
        for name in estimates.estimate["feature"].to_numpy()
    ]


def _provenance(
    members: Mapping[str, tuple[Estimator, Aligned | xr.DataArray]], estimated: Mapping[str, Estimates], seed: str
) -> Provenance:
    options, data, notes = {}, {}, []
    is_synthetic = False
    for name, (model, values) in members.items():
        prefix = f"{name}." if name else ""
        options[f"{prefix}model"] = " ".join(repr(model).split())
        recording = values.y if isinstance(values, Aligned) else values
        data["recording"] = content_hash(recording)
        data |= {f"recording.{key}": str(value) for key, value in recording.attrs.items()}
        arrays = [recording]
        if isinstance(values, Aligned):
            data[f"{prefix}features"] = content_hash(values.x)
            arrays.append(values.x)
        is_synthetic |= any(bool(array.attrs.get("synthetic", False)) for array in arrays)
        notes += [f"{name}: {note}" if name else note for note in estimated[name].notes]
    return Provenance(
        options=options,
        data=data,
        seed=seed,
        synthetic=is_synthetic,
        versions=current_versions(),
        created=now(),
        notes=tuple(notes),
    )
