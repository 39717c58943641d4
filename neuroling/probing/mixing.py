"""Where in a model something is found: scalar mixtures of layers and expected layers (Tenney et al. 2019)."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import torch
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from torch.nn.functional import cross_entropy, mse_loss

from neuroling.numerics.device import resolve_device
from neuroling.probing.pairs import sentence_spans

Floats = NDArray[np.floating[Any]]


def stack_layers(states: xr.DataArray) -> xr.DataArray:
    """Lay the layers of every sample end to end, for :class:`LayerMixProbe`.

    Parameters
    ----------
    states : xarray.DataArray, dims (sample, layer, feature)
        Hidden states.

    Returns
    -------
    xarray.DataArray, dims (sample, feature)
        Features are named ``"layer/unit"``; layer by layer.
    """
    ordered = states.transpose("sample", "layer", "feature")
    names = [f"{layer}/{unit}" for layer in states.layer.values for unit in states.feature.values]
    coords = {name: coord for name, coord in states.coords.items() if coord.dims == ("sample",)}
    flat = ordered.values.reshape(len(ordered), -1)
    return xr.DataArray(flat, dims=("sample", "feature"), coords={**coords, "feature": names}, attrs=states.attrs)


def with_heads(states: xr.DataArray, heads: xr.DataArray) -> xr.DataArray:
    """Set every word's states beside those of the word it depends on; roots, which depend on none, are left out.

    Parameters
    ----------
    states : xarray.DataArray, dims (sample, layer, feature)
        Hidden states of words.
    heads : xarray.DataArray of int, dims (sample,)
        As for :func:`~neuroling.probing.pairs.word_pairs`.

    Returns
    -------
    xarray.DataArray, dims (sample, feature)
        Two spans, the word's and its head's, each as :func:`stack_layers` gives it; rows are all words but the roots.
    """
    stacked = stack_layers(states.sel(sample=heads.sample.values))
    start = np.concatenate([np.full(stop - begin, begin) for begin, stop in sentence_spans(heads)])
    rows = np.flatnonzero(heads.values)
    above = start[rows] + heads.values[rows] - 1
    names = [f"{span}/{name}" for span in ("word", "head") for name in stacked.feature.values]
    coords = {name: coord[rows] for name, coord in stacked.coords.items() if coord.dims == ("sample",)}
    both = np.concatenate([stacked.values[rows], stacked.values[above]], axis=1)  # (word, span x layer x unit)
    return xr.DataArray(both, dims=("sample", "feature"), coords={**coords, "feature": names}, attrs=states.attrs)


class LayerMixProbe(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    r"""Predict a class or a number from a learned mixture of layers.

    Each span of words is read as :math:`\gamma \sum_l s_l h_l / r_l` with :math:`s = \mathrm{softmax}(a)`, the same
    for all spans, where :math:`r_l` is the root mean square of layer :math:`l` in training, so that weights do not
    follow the size of a layer. A linear layer, or one hidden layer of rectified units, follows. The loss is the
    cross-entropy of classes, or the squared error of a standardised number; Adam, with a learning rate that falls to
    zero.

    Parameters
    ----------
    n_layers : int
        Layers in the features, which are laid out span by span, layer by layer.
    n_spans : int
        Spans in the features: 1 for a word, 2 for a word and its head.
    n_classes : int, optional
        Targets are whole numbers from 0 to below it. Without it they are numbers.
    hidden : int, optional
        Hidden units; none by default, which makes the probe linear.
    n_epochs : int
        Passes through the samples.
    learning_rate : float
        Of Adam at the start.
    batch : int
        Samples a step.
    seed : int
        Of weights and order.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"`` …

    Attributes
    ----------
    weights_ : ndarray, shape (layer,)
        The mixture :math:`s`, which sums to one.
    losses_ : ndarray, shape (epoch,)
        Mean loss of each pass.

    References
    ----------
    Tenney, I., Das, D. and Pavlick, E. (2019). BERT rediscovers the classical NLP pipeline. ACL.
    Peters, M. et al. (2018). Deep contextualized word representations. NAACL.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((300, 3 * 4))
    >>> probe = LayerMixProbe(3, n_classes=2).fit(X, (X[:, 4] > 0).astype(float))  # the second layer knows
    >>> int(probe.weights_.argmax())
    1
    """

    def __init__(
        self,
        n_layers: int = 1,
        *,
        n_spans: int = 1,
        n_classes: int | None = None,
        hidden: int | None = None,
        n_epochs: int = 20,
        learning_rate: float = 1e-2,
        batch: int = 128,
        seed: int = 0,
        device: str = "auto",
    ) -> None:
        self.n_layers = n_layers
        self.n_spans = n_spans
        self.n_classes = n_classes
        self.hidden = hidden
        self.n_epochs = n_epochs
        self.learning_rate = learning_rate
        self.batch = batch
        self.seed = seed
        self.device = device

    def fit(self, X: Floats, y: Floats) -> Self:
        """Learn mixture and readout.

        Parameters
        ----------
        X : ndarray, shape (sample, span x layer x unit)
            Hidden states.
        y : ndarray, shape (sample,) or (sample, 1)
            Classes as whole numbers, or numbers.
        """
        X, target = self._checked(X, y)
        device = resolve_device(self.device)
        generator = torch.Generator().manual_seed(self.seed)
        x = torch.as_tensor(np.ascontiguousarray(X, dtype=np.float32), device=device)
        x = x.view(len(X), self.n_spans, self.n_layers, -1)
        self.scale_ = x.square().mean((0, 1, 3)).sqrt().clamp_min(torch.finfo(torch.float32).tiny).cpu().numpy()
        self.mean_, self.spread_ = (0.0, 1.0) if self.n_classes else (float(target.mean()), float(target.std()) or 1.0)
        t = torch.as_tensor((target - self.mean_) / self.spread_, dtype=torch.float32, device=device)
        t = t.long() if self.n_classes else t
        self.state_ = self._initial(x.shape[-1], generator, device)
        parameters = [value.requires_grad_() for value in self.state_.values()]
        optimiser = torch.optim.Adam(parameters, lr=self.learning_rate)
        steps = self.n_epochs * -(-len(X) // self.batch)
        schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.01, total_iters=steps)
        losses = []
        for _ in range(self.n_epochs):
            total = 0.0
            for rows in torch.split(torch.randperm(len(X), generator=generator), self.batch):
                found = self._forward(x[rows.to(device)])
                loss = cross_entropy(found, t[rows]) if self.n_classes else mse_loss(found[:, 0], t[rows])
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
                optimiser.step()
                schedule.step()
                total += float(loss.detach()) * len(rows)
            losses.append(total / len(X))
        self.state_ = {name: value.detach() for name, value in self.state_.items()}
        self.weights_ = self.state_["mix"].softmax(0).cpu().numpy()
        self.losses_ = np.asarray(losses)
        self.n_features_in_ = X.shape[1]
        if not np.isfinite(losses[-1]):
            raise ValueError(f"learning_rate: with {self.learning_rate} the loss became {losses[-1]}; try a tenth.")
        return self

    def predict(self, X: Floats) -> Floats:
        """Give classes, or numbers.

        Parameters
        ----------
        X : ndarray, shape (sample, span x layer x unit)
            As for :meth:`fit`.

        Returns
        -------
        ndarray, shape (sample,)
        """
        if not hasattr(self, "weights_"):
            raise ValueError("LayerMixProbe: it has not been fitted; call fit first.")
        values = np.asarray(X, dtype=np.float32)
        if values.ndim != 2 or values.shape[1] != self.n_features_in_:
            raise ValueError(f"X: got shape {values.shape}; expected {self.n_features_in_} features, as in fit.")
        x = torch.as_tensor(values, device=self.state_["mix"].device).view(len(values), self.n_spans, self.n_layers, -1)
        with torch.inference_mode():
            outputs = torch.cat([self._forward(part) for part in torch.split(x, 8192)]).cpu().numpy()
        if self.n_classes:
            return np.asarray(outputs.argmax(1), dtype=np.float64)
        return np.asarray(outputs[:, 0] * self.spread_ + self.mean_)

    def _initial(self, width: int, generator: torch.Generator, target: torch.device) -> dict[str, torch.Tensor]:
        inputs, outputs = self.n_spans * width, self.n_classes or 1
        inner = self.hidden or inputs
        first = torch.randn((inputs, inner), generator=generator) * (2 / inputs) ** 0.5
        last = torch.randn((inner, outputs), generator=generator) * 0.01
        state = {"mix": torch.zeros(self.n_layers), "gamma": torch.ones(()), "last": last, "bias": torch.zeros(outputs)}
        if self.hidden:
            state |= {"first": first, "inner_bias": torch.zeros(inner)}
        return {name: value.to(target) for name, value in state.items()}

    def _forward(self, x: torch.Tensor) -> torch.Tensor:
        s = self.state_
        share = s["gamma"] * s["mix"].softmax(0) / torch.as_tensor(self.scale_, device=x.device)
        mixed = torch.einsum("bslf,l->bsf", x, share).flatten(1)  # (sample, span x unit)
        if self.hidden:
            mixed = (mixed @ s["first"] + s["inner_bias"]).relu()
        return mixed @ s["last"] + s["bias"]

    def _checked(self, X: Floats, y: Floats) -> tuple[Floats, Floats]:
        X, y = np.asarray(X), np.asarray(y, dtype=np.float64)
        target = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
        if X.ndim != 2 or target.shape != (len(X),) or not len(X):
            raise ValueError(f"X, y: got shapes {X.shape} and {y.shape}; expected (sample, feature) and (sample,).")
        if X.shape[1] % (self.n_layers * self.n_spans):
            raise ValueError(
                f"X: got {X.shape[1]} features; {self.n_layers} layers of {self.n_spans} spans need a multiple of "
                f"{self.n_layers * self.n_spans}. See stack_layers and with_heads."
            )
        if not (np.isfinite(X).all() and np.isfinite(target).all()):
            raise ValueError("X, y: some values are NaN or infinite; expected finite numbers.")
        if self.n_classes is None:
            return X, target
        if self.n_classes < 2 or len(np.unique(target)) < 2:
            raise ValueError(
                f"y: {len(np.unique(target))} classes among the samples, n_classes {self.n_classes}; expected two at "
                "least, or there is nothing to discriminate."
            )
        if (target % 1).any() or target.min() < 0 or target.max() >= self.n_classes:
            raise ValueError(
                f"y: labels from {target.min():g} to {target.max():g}; expected whole numbers from 0 to "
                f"{self.n_classes - 1}."
            )
        return X, target


def expected_layer(scores: ArrayLike) -> tuple[float, Floats]:
    r"""Say at which layer, on average, a score is gained.

    Probes that may use layers 0 to :math:`l` score :math:`S_l`; the gain of a layer is
    :math:`\Delta_l = S_l - S_{l-1}`, and the expected layer :math:`\sum_l l \Delta_l / \sum_l \Delta_l` over
    :math:`l = 1 \dots L`. What layer 0, the embeddings, scores by itself does not count. Gains may be negative.

    Parameters
    ----------
    scores : array-like, shape (layer,)
        Of probes that may use layers 0 to 0, 0 to 1, …, 0 to L.

    Returns
    -------
    tuple of float and ndarray, shape (L,)
        The expected layer, and the gains.

    Raises
    ------
    ValueError
        If there are fewer than two scores, or the last is not above the first.

    Examples
    --------
    >>> expected_layer([0.5, 0.8, 0.9])[0]
    1.25
    """
    layer_scores = np.asarray(scores, dtype=np.float64)
    if layer_scores.ndim != 1 or len(layer_scores) < 2 or not np.isfinite(layer_scores).all():
        raise ValueError(f"scores: got shape {layer_scores.shape}; expected finite scores with 0, 1, … layers added.")
    total = layer_scores[-1] - layer_scores[0]
    if not total > 0:
        raise ValueError(
            f"scores: with all layers {layer_scores[-1]:.4f}, with the embeddings alone {layer_scores[0]:.4f}; "
            "nothing is gained, so no layer can be expected."
        )
    gains = np.diff(layer_scores)
    return round(float((np.arange(1, len(layer_scores)) * gains).sum() / total), 12), gains


def centre_of_gravity(weights: ArrayLike) -> float:
    r"""Give the mean layer of a mixture, :math:`\sum_l l \, s_l`.

    Parameters
    ----------
    weights : array-like, shape (layer,)
        Shares of layers 0, 1, …; they sum to one.

    Returns
    -------
    float
    """
    layer_weights = np.asarray(weights, dtype=np.float64)
    if layer_weights.ndim != 1 or (layer_weights < 0).any() or not np.isclose(layer_weights.sum(), 1, atol=1e-4):
        raise ValueError(f"weights: they sum to {layer_weights.sum():.4f}; expected shares of layers that sum to one.")
    return float(layer_weights @ np.arange(len(layer_weights)))


def control_labels(words: ArrayLike, labels: ArrayLike, rng: np.random.Generator) -> NDArray[np.generic]:
    """Give every type of word a label of its own, drawn at random: the control task of Hewitt and Liang (2019).

    A probe can only learn it by heart. What it scores on the real task beyond that is its selectivity.

    Parameters
    ----------
    words : array-like of str, shape (sample,)
        Words; the same spelling is the same type.
    labels : array-like, shape (sample,)
        Labels of the real task; the control's are drawn from how often each occurs.
    rng : numpy.random.Generator
        Source of the draw.

    Returns
    -------
    ndarray, shape (sample,)
        The same label wherever the same word stands.

    References
    ----------
    Hewitt, J. and Liang, P. (2019). Designing and interpreting probes with control tasks. EMNLP.

    Examples
    --------
    >>> drawn = control_labels(["the", "cat", "the"], ["DET", "NOUN", "DET"], np.random.default_rng(0))
    >>> bool(drawn[0] == drawn[2])
    True
    """
    types, which = np.unique(np.asarray(words), return_inverse=True)
    true_labels = np.asarray(labels)
    if true_labels.shape != which.shape:
        raise ValueError(f"labels: got shape {true_labels.shape} for {which.shape} words; expected one per word.")
    return np.asarray(rng.choice(true_labels, size=len(types))[which])
