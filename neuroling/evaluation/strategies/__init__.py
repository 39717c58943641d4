"""Strategies of scoring: ways to the same scores, each of which says when it applies.

- :class:`~neuroling.evaluation.strategies.operators.FittedOperators`: penalties kept, predictions are operators times
  the recording;
- :class:`~neuroling.evaluation.strategies.gram.GramMatrices`: leave-two-out matching from inner products over targets;
- :class:`~neuroling.evaluation.strategies.exchanged_items.ExchangedItems`: labels of items exchanged for a fixed model,
  all draws one product;
- :class:`~neuroling.evaluation.strategies.relabelled.MatchedPatterns` and
  :class:`~neuroling.evaluation.strategies.relabelled.CorrelatedColumns`: held-out truths exchanged, scores from
  similarities or standardised columns that are computed once;
- :class:`~neuroling.evaluation.strategies.stacked_targets.StackedTargets`: reordered recordings as further targets;
- :class:`~neuroling.evaluation.strategies.direct.DirectScoring`: one fit after another, for anything.
"""
