"""Temporal response functions against MNE's."""

import mne
import numpy as np
import pytest
from sklearn.model_selection import LeaveOneGroupOut

from neuroling.encoding.trf import TRF

pytestmark = pytest.mark.usefixtures("product_library")

ALPHAS = (0.1, 10.0, 1e3)


@pytest.mark.parametrize("lags", [(0, 6), (-3, 5), (2, 6)], ids=str)
def test_equals_the_receptive_field_of_mne(lags):
    rng = np.random.default_rng(0)
    x, y, groups = rng.standard_normal((240, 2)) + 2, rng.standard_normal((240, 3)) + 5, np.repeat(np.arange(4), 60)
    model = TRF(lags, alphas=ALPHAS, folds=LeaveOneGroupOut(), device="cpu").fit(x, y, groups)
    epochs = [side.reshape(4, 60, -1).transpose(1, 0, 2) for side in (x, y)]
    for fold in range(4):
        train = np.delete(np.arange(4), fold)
        for row, alpha in enumerate(ALPHAS):
            field = mne.decoding.ReceptiveField(
                lags[0] / 100, lags[1] / 100, 100.0, estimator=alpha, scoring="corrcoef"
            )
            with mne.use_log_level("error"):
                field.fit(*(side[:, train] for side in epochs))
            theirs = field.score(*(side[:, [fold]] for side in epochs))
            np.testing.assert_allclose(model.fold_r_[0, fold, row], theirs, rtol=1e-8)
    with mne.use_log_level("error"):
        field = mne.decoding.ReceptiveField(lags[0] / 100, lags[1] / 100, 100.0, estimator=float(model.alpha_[1]))
        field.fit(*epochs)
    np.testing.assert_allclose(model.coef_[1], field.coef_[1], rtol=1e-8)
    np.testing.assert_allclose(model.intercept_[1], field.estimator_.intercept_[1], rtol=1e-8)
