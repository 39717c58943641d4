"""What the last bits of a job's values depend on: written down at its start, and followed when it is resumed."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence

from neuroling.features.transformer.encoder import Encoder
from neuroling.features.transformer.hidden_states import Reading, default_tokens, plan_route
from neuroling.features.transformer.prepacked_weights import ProductRoute
from neuroling.numerics.rounding_conditions import rounding_conditions


def begin_job(
    encoders: Sequence[Encoder],
    readings: Sequence[Reading],
    batch_tokens: int | None,
    earlier: str | None,
    *,
    stacklevel: int,
) -> tuple[str, ProductRoute]:
    """Choose how a job makes its products, or go on as an interrupted one began.

    Parameters
    ----------
    encoders : sequence of Encoder
        One, or copies of one that share the work.
    readings : sequence of Reading
        Those of the whole job.
    batch_tokens : int or None
        Tokens in a pack, where somebody asked for a number.
    earlier : str or None
        Record of the interrupted job.
    stacklevel : int
        Of the warning that a resumed job computes under other conditions.

    Returns
    -------
    record : str
        JSON. That of the interrupted job if it can be read, else one that differs from it.
    route : ProductRoute
    """
    conditions = rounding_conditions() | {
        "devices": str(len(encoders)),
        "tokens in a pack": str(batch_tokens or default_tokens(encoders[0])),
    }
    resumed = _read(earlier)
    if earlier is None or resumed is None:
        route = plan_route(encoders, readings, batch_tokens)
        return json.dumps({"route": route._asdict(), "conditions": conditions}, sort_keys=True), route
    route, began = resumed
    changed = [name for name in conditions if began.get(name) != conditions[name]]
    if changed:
        listed = "; ".join(f"{name} {began.get(name)!r} then, {conditions[name]!r} now" for name in changed)
        warnings.warn(
            f"out: the job was begun under other conditions ({listed}), so that values may differ from those of an "
            "uninterrupted run in their last bits. Go on as it was begun, or remove the partial file and begin again.",
            UserWarning,
            stacklevel=stacklevel,
        )
    return earlier, route


def _read(record: str | None) -> tuple[ProductRoute, dict[str, str]] | None:
    """Read a record; None where there is none, or it is damaged."""
    if record is None:
        return None
    try:
        fields = json.loads(record)
        route = ProductRoute(str(fields["route"]["library"]), int(fields["route"]["rows"]))
        conditions = {str(name): str(value) for name, value in fields["conditions"].items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return (route, conditions) if route.library in ("plain", "mkl", "onednn") and route.rows >= 0 else None
