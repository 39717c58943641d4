"""A job that was interrupted at any block ends with the bits of one that was not: its product route is recorded."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

from neuroling.core.stimuli import Stimuli
from neuroling.features.extract import extract_text_features
from neuroling.features.storage import files as storage
from neuroling.features.storage.files import open_layers
from neuroling.features.storage.shards import join_shards
from neuroling.features.transformer import hidden_states as states
from neuroling.features.transformer import job_record
from neuroling.features.transformer import prepacked_weights as prepacked
from neuroling.features.transformer.devices import on_devices
from neuroling.features.transformer.encoder import Encoder
from neuroling.features.transformer.hidden_states import Reading, filled_tokens
from neuroling.features.transformer.prepacked_weights import MKL, ONEDNN, Library, Prepacked, ProductRoute

pytestmark = pytest.mark.filterwarnings("ignore:stimuli. .* unknown")

ROWS = 64
N_TEXTS = 48
ROWS_OF_A_BLOCK = 8
N_BLOCKS = N_TEXTS // ROWS_OF_A_BLOCK
ROW_BYTES = 4 * 3 * 16
"""Of three layers of 16 units in single precision."""

LIBRARIES = [
    library
    for library, is_there in ((MKL, torch.backends.mkl.is_available()), (ONEDNN, torch.backends.mkldnn.is_available()))
    if is_there
]


class Interruption(Exception):  # noqa: N818 - what it stands for
    """Stands for a kill."""


@pytest.fixture(params=LIBRARIES, ids=lambda library: library.name)
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Library:
    """A library whose threshold lies in the middle of the job, and products of a few rows."""
    monkeypatch.setattr(states, "filled_tokens", lambda *given: ROWS if filled_tokens(*given) else 0)
    monkeypatch.setattr(prepacked, "ROWS", ROWS)
    monkeypatch.setattr(prepacked, "LEAST_JOB", 1)
    whole = storage.write_layers
    monkeypatch.setattr(
        "neuroling.features.extract.write_layers",
        lambda *args, **options: whole(*args, **options, block_bytes=ROWS_OF_A_BLOCK * ROW_BYTES),
    )
    return replace(request.param, least_tokens=n_tokens(texts()) // 2, multiply=in_double_precision)


def in_double_precision(
    values: torch.Tensor, _: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, __: int
) -> torch.Tensor:
    """Multiply with other last bits than plain products: at the sizes of a tiny model the real libraries agree."""
    product = values.double() @ weight.double().mT
    return (product if bias is None else product + bias.double()).float()


def texts() -> Stimuli:
    rng = np.random.default_rng(0)
    words = ["the", "cat", "saw", "a", "dog", "ship", "unable", "."]
    return Stimuli.from_texts(
        [" ".join(rng.choice(words, rng.integers(9, 15))) for _ in range(N_TEXTS)], labels=range(N_TEXTS)
    )


def n_tokens(stimuli: Stimuli) -> int:
    return sum(len(text.split()) for text in stimuli.texts)


def fresh(encoder: Encoder, library: Library | None) -> Encoder:
    """An encoder as another process would load it."""
    (copy,) = on_devices(encoder, ["cpu"])
    return replace(copy, prepacked=Prepacked(library))


def run(encoder: Encoder, out: Path, *, blocks: int | None = None, **options: int) -> xr.DataArray | None:
    """Extract features; with ``blocks`` the job is interrupted after so many."""
    note, count = storage._note, 0

    def note_and_stop(partial: Path, line: str) -> None:
        nonlocal count
        note(partial, line)
        count += 1
        if count == blocks:
            raise Interruption

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage, "_note", note_and_stop)
        try:
            with extract_text_features(texts(), encoder, out=out, **options) as features:
                return features.load()
        except Interruption:
            return None


@pytest.mark.parametrize("interrupted_after", range(1, N_BLOCKS))
def test_a_job_interrupted_at_any_block_ends_with_the_same_bits(
    tiny: Encoder, library: Library, tmp_path: Path, interrupted_after: int
) -> None:
    undisturbed = run(fresh(tiny, library), tmp_path / "undisturbed.nc")
    assert run(fresh(tiny, library), tmp_path / "resumed.nc", blocks=interrupted_after) is None
    resumed = run(fresh(tiny, library), tmp_path / "resumed.nc")
    assert undisturbed is not None
    assert resumed is not None
    np.testing.assert_array_equal(resumed.values.view(np.int32), undisturbed.values.view(np.int32))
    assert json.loads(resumed.attrs["products"])["route"]["library"] == library.name


def test_the_bits_do_not_depend_on_what_the_encoder_read_before(
    tiny: Encoder, library: Library, tmp_path: Path
) -> None:
    experienced = fresh(tiny, library)
    extract_text_features(texts(), experienced)
    extract_text_features(texts(), experienced)
    small = Stimuli.from_texts(["the cat saw a dog", "a ship", "the dog"], labels=range(3))
    first = extract_text_features(small, experienced, out=tmp_path / "experienced.nc")
    other = extract_text_features(small, fresh(tiny, library), out=tmp_path / "fresh.nc")
    with first, other:
        assert first.attrs["products"] == other.attrs["products"]
        np.testing.assert_array_equal(first.values, other.values)


def test_a_route_that_cannot_be_taken_is_refused(
    tiny: Encoder, library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(fresh(tiny, library), tmp_path / "features.nc", blocks=3) is None
    monkeypatch.setattr(prepacked, "_can", lambda *_: False)
    with pytest.raises(ValueError, match=f"weights laid out by {library.name} .* cannot be done here"):
        run(fresh(tiny, library), tmp_path / "features.nc")
    assert not (tmp_path / "features.nc").exists()


def test_plain_products_stay_plain_where_memory_has_become_free(
    tiny: Encoder, library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(prepacked, "free_bytes", lambda _: 0)
        undisturbed = run(fresh(tiny, library), tmp_path / "undisturbed.nc")
        assert run(fresh(tiny, library), tmp_path / "resumed.nc", blocks=2) is None
    resumed = run(fresh(tiny, library), tmp_path / "resumed.nc")
    assert resumed is not None
    assert undisturbed is not None
    assert json.loads(resumed.attrs["products"])["route"] == ProductRoute()._asdict()
    np.testing.assert_array_equal(resumed.values, undisturbed.values)


def test_laid_out_weights_stay_so_where_memory_has_become_short(
    tiny: Encoder, library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = run(fresh(tiny, library), tmp_path / "undisturbed.nc")
    assert run(fresh(tiny, library), tmp_path / "resumed.nc", blocks=2) is None
    monkeypatch.setattr(prepacked, "free_bytes", lambda _: 0)
    resumed = run(fresh(tiny, library), tmp_path / "resumed.nc")
    assert resumed is not None
    assert undisturbed is not None
    np.testing.assert_array_equal(resumed.values, undisturbed.values)


def test_other_conditions_are_said(
    tiny: Encoder, library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(fresh(tiny, library), tmp_path / "features.nc", blocks=2) is None
    monkeypatch.setattr(job_record, "rounding_conditions", lambda: {"processor": "another", "threads": "1"})
    with pytest.warns(UserWarning, match="processor .* then, 'another' now"):
        run(fresh(tiny, library), tmp_path / "features.nc")


@pytest.mark.parametrize("damaged", ["{", "{}", '{"route": {"library": "fast", "rows": 1}, "conditions": {}}', "[]"])
def test_a_damaged_record_begins_the_job_anew(tiny: Encoder, damaged: str) -> None:
    reading = Reading(np.array([2, 5, 3]), np.array([0]), np.array([0]))
    record, route = job_record.begin_job([tiny], [reading], None, damaged, stacklevel=2)
    assert record != damaged
    assert route == ProductRoute()


def test_shards_with_other_routes_are_joined(tiny: Encoder, library: Library, tmp_path: Path) -> None:
    stimuli = texts()
    long = stimuli.subset(stimuli.labels[:-2].tolist())
    short = stimuli.subset(stimuli.labels[-2:].tolist())
    for name, part in {"long": long, "short": short}.items():
        extract_text_features(part, fresh(tiny, library), out=tmp_path / f"{name}.nc").close()
    with join_shards([tmp_path / "long.nc", tmp_path / "short.nc"], tmp_path / "all.nc") as joined:
        assert joined.sizes["sample"] == N_TEXTS
    with open_layers(tmp_path / "long.nc") as first, open_layers(tmp_path / "short.nc") as second:
        assert first.attrs["products"] != second.attrs["products"]
