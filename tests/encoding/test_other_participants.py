"""Weights learned from other participants: what each is predicted from, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import KFold

from neuroling import evaluate, pearson
from neuroling.encoding.other_participants import OtherParticipants


def test_nobody_is_predicted_from_their_own_recording():
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((20, 3)), rng.standard_normal((20, 4 * 2))
    before = OtherParticipants(LinearRegression(), 4).fit(X, Y).predict(X).reshape(20, 4, 2)
    changed = Y.reshape(20, 4, 2).copy()
    changed[:, 1] += rng.standard_normal((20, 2))
    after = OtherParticipants(LinearRegression(), 4).fit(X, changed.reshape(20, 8)).predict(X).reshape(20, 4, 2)
    np.testing.assert_allclose(before[:, 1], after[:, 1], atol=1e-12)
    assert (abs(before - after)[:, [0, 2, 3]] > 1e-6).all()


def test_each_is_the_regression_on_the_mean_of_the_others():
    rng = np.random.default_rng(1)
    X, Y = rng.standard_normal((20, 3)), rng.standard_normal((20, 4))
    found = OtherParticipants(LinearRegression(), 4).fit(X, Y).predict(X)
    for number in range(4):
        others = np.delete(Y, number, axis=1).mean(axis=1)
        np.testing.assert_allclose(found[:, number], LinearRegression().fit(X, others).predict(X))


def test_what_people_share_is_predicted_and_what_is_their_own_is_not(make_data):
    data = make_data(200, subject=8, time=2)
    common = data.x.values[:, :1, None]
    own = np.random.default_rng(0).choice([-1.0, 1.0], (1, 8, 1)) * data.x.values[:, 1:2, None]
    recording = data.y.copy(data=2 * common + 0.3 * data.y.values)
    model = OtherParticipants(LinearRegression(), 8)
    shared = evaluate(model, type(data)(data.x, recording), splits=KFold(4), metric=pearson).score
    assert float(shared.min()) > 0.95
    private = evaluate(model, type(data)(data.x, recording * 0 + own + 0.3 * data.y), splits=KFold(4), metric=pearson)
    assert float(private.score.mean()) < 0.5


@pytest.mark.parametrize(
    ("n", "shape", "message"),
    [(1, (5, 2), "expected at least two"), (3, (5, 4), r"y: got shape \(5, 4\)"), (2, (5,), r"y: got shape \(5,\)")],
)
def test_bad_shapes_get_a_sentence(n, shape, message):
    with pytest.raises(ValueError, match=message):
        OtherParticipants(LinearRegression(), n).fit(np.ones((5, 1)), np.ones(shape))
