from __future__ import annotations

import errno
import hashlib
import io
import os
from pathlib import Path

import numpy as np
import pytest

from neuroling.features import cache
from neuroling.features.cache import content_key, remember

VALUES = np.arange(12, dtype=np.float32).reshape(3, 4)
PARTS = {"step": "test", "texts": ["a", "b"]}


def entry(folder: Path) -> Path:
    remember(folder, PARTS, lambda: VALUES)
    (path,) = folder.iterdir()
    return path


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"texts": ["a", "b"]}, {"texts": ["a,b"]}),
        ({"texts": ["a", "b"]}, {"texts": ["b", "a"]}),
        ({"layer": 1}, {"layer": "1"}),
        ({"layer": 1}, {"layer": True}),
        ({"a": "x,b=1"}, {"a": "x", "b": "1"}),
        ({"text": "café"}, {"text": "cafe\u0301"}),
    ],
)
def test_descriptions_that_differ_have_different_keys(one: dict[str, object], other: dict[str, object]) -> None:
    assert content_key(one) != content_key(other)


def test_without_a_folder_nothing_is_kept() -> None:
    assert remember(None, PARTS, lambda: VALUES) is VALUES


def test_every_flipped_bit_is_noticed(tmp_path: Path) -> None:
    path = entry(tmp_path)
    whole = path.read_bytes()
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 4]) + whole[position + 1 :])
        with pytest.raises(ValueError, match="checksum differs"):
            cache.read_entry(path, content_key(PARTS))


def test_an_entry_is_an_ordinary_npz(tmp_path: Path) -> None:
    with np.load(entry(tmp_path)) as archive:
        np.testing.assert_array_equal(archive["values"], VALUES)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_truncated_entry_is_made_anew_with_a_warning(tmp_path: Path, share: float) -> None:
    path = entry(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.warns(UserWarning, match="is damaged"):
        np.testing.assert_array_equal(remember(tmp_path, PARTS, lambda: VALUES), VALUES)
    np.testing.assert_array_equal(cache.read_entry(path, content_key(PARTS)), VALUES)


def test_an_entry_under_another_key_is_not_believed(tmp_path: Path) -> None:
    path = entry(tmp_path)
    path.rename(tmp_path / f"{content_key({'step': 'other'})}.npz")
    with pytest.warns(UserWarning, match="another key"):
        remember(tmp_path, {"step": "other"}, lambda: VALUES + 1)


def test_a_full_disk_costs_the_entry_and_not_the_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.warns(UserWarning, match="could not be written"):
        assert remember(tmp_path, PARTS, lambda: VALUES) is VALUES
    assert not list(tmp_path.iterdir())


def test_an_interrupted_write_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        remember(tmp_path, PARTS, lambda: VALUES)
    assert not list(tmp_path.iterdir())


def test_a_pickle_in_an_entry_is_never_opened(tmp_path: Path) -> None:
    path = entry(tmp_path)
    hostile = io.BytesIO()
    np.savez(hostile, values=np.array([{"a": 1}], dtype=object), key=content_key(PARTS))
    path.write_bytes(hostile.getvalue() + hashlib.sha256(hostile.getvalue()).hexdigest().encode())
    with pytest.warns(UserWarning, match="is damaged .*allow_pickle=False"):
        remember(tmp_path, PARTS, lambda: VALUES)
