"""One call for the tests: fixed models against a recording or dissimilarities, with a ceiling of participants."""

from __future__ import annotations

from neuroling import LeaveOneOutCeiling, evaluate, pairwise
from neuroling.evaluation.rdm_metrics import RDM_METRICS, fair_to_ties
from neuroling.rsa import FixedRDM

METRICS = {metric.name.removesuffix(", uncentred"): metric for metric in RDM_METRICS}


def agreement(recording, models, *, metric=None, controls=None, ceiling=True, **options):
    """Evaluate fixed models; ``metric`` by name, by default the one that is fair to ties."""
    chosen = fair_to_ties(models) if metric is None else METRICS[getattr(metric, "name", metric)]
    chosen = chosen if controls is None else chosen.partial(controls)
    has_people = getattr(recording, "sizes", {}).get("subject", 1) > 1
    bounds = LeaveOneOutCeiling("subject") if ceiling and has_people else None
    return evaluate(FixedRDM(), pairwise(models, recording, **options), metric=chosen, ceiling=bounds)
