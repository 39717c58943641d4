"""Null distributions and tests: over samples, time, items, participants, and participants and items together.

Every inference is called with an evaluation and a generator, ``inference(scoring, rng)``, by ``evaluate(…,
inference=…)`` or, afterwards, by ``result.test(inference)``. The same names mean the same everywhere: ``n_draws``,
``two_sided``, ``clusters``, ``keep_draws`` and ``keep_choices``.
"""
