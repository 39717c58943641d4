from __future__ import annotations

import errno
import hashlib
import io
import itertools
import multiprocessing
import os
import time
from pathlib import Path

import numpy as np
import pytest

from neuroling.features.storage import cache
from neuroling.features.storage.cache import content_key, remember

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


def test_a_flipped_bit_is_noticed_wherever_it_is(tmp_path: Path) -> None:
    path = entry(tmp_path)
    whole = path.read_bytes()
    for position in [*range(0, len(whole), 9), *range(len(whole) - 70, len(whole), 5)]:
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


# --- keys -------------------------------------------------------------------------------------------------------------


def options() -> dict[str, object]:
    return {
        "step": "extract",
        "unit": "word",
        "pool": "mean",
        "normalise": 0,
        "layers": list(range(7)),
        "passages": [["the cat saw", [0, 4, 8], [3, 7, 11]], ["a dog", [0, 2], [1, 5]]],
        "context": "Whole()",
        "missing": "error",
        "shared": "error",
        "encoder": "minilm",
        "revision": "0.1.0",
        "weights_sha256": "a" * 64,
        "tokenizer_sha256": "b" * 64,
        "max_tokens": "512",
        "dtype": "float32",
        "device": "cpu",
        "batching": "packed",
        "torch": "2.13.0",
        "transformers": "5.23.0",
    }


def single_changes() -> list[dict[str, object]]:
    """Change one thing at a time: a letter, a span, an option, a digit of a hash."""
    changed = []
    for name, value in options().items():
        if isinstance(value, str):
            for place in range(min(len(value), 24)):
                other = value[:place] + chr(ord(value[place]) + 1) + value[place + 1 :]
                changed.append({**options(), name: other})
            changed += [{**options(), name: value + "x"}, {**options(), name: None}]
        if isinstance(value, int):
            changed.append({**options(), name: value + 1})
        without = options()
        del without[name]
        changed.append(without)
    for passage in range(2):
        text, starts, stops = options()["passages"][passage]  # type: ignore[index]
        for place in range(len(text)):
            new = options()
            new["passages"][passage][0] = text[:place] + "#" + text[place + 1 :]  # type: ignore[index]
            changed.append(new)
        for edge in (1, 2):
            for word in range(len(starts if edge == 1 else stops)):
                new = options()
                new["passages"][passage][edge][word] += 1  # type: ignore[index]
                changed.append(new)
    for layer in range(7):
        changed.append({**options(), "layers": [other for other in range(7) if other != layer]})
    return changed


def test_two_hundred_single_changes_all_miss() -> None:
    changes = single_changes()
    assert len(changes) >= 200
    keys = {content_key(change) for change in changes}
    assert content_key(options()) not in keys
    assert len(keys) == len(changes)


def test_fifty_changes_of_nothing_all_hit() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        names = rng.permutation(list(options()))
        same = {str(name): options()[str(name)] for name in names}
        same["layers"] = tuple(same["layers"])  # type: ignore[arg-type]
        assert content_key(same) == content_key(options())


def _write_many(folder: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(40):
        number = int(rng.integers(5))
        made = remember(Path(folder), {"number": number}, lambda number=number: np.full((200, 30), number, np.float32))
        if not (made == number).all():
            raise AssertionError("an entry held another's values")


def test_two_jobs_may_write_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    jobs = [context.Process(target=_write_many, args=(str(tmp_path), seed)) for seed in range(3)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join(30)
    assert [job.exitcode for job in jobs] == [0, 0, 0]
    assert len(list(tmp_path.iterdir())) == 5
    assert not any(cache.damage(found.path) for found in cache.entries(tmp_path))


def test_a_killed_writer_leaves_no_half_entry(tmp_path: Path) -> None:
    def write_forever() -> None:
        for number in itertools.count():
            remember(tmp_path, {"number": number}, lambda: np.zeros((3000, 100), np.float32))

    for _ in range(5):
        job = multiprocessing.get_context("fork").Process(target=write_forever)
        job.start()
        time.sleep(0.05)
        job.kill()
        job.join()
    assert not any(cache.damage(found.path) for found in cache.entries(tmp_path))


# --- looking after ----------------------------------------------------------------------------------------------------


def several(folder: Path) -> list[Path]:
    paths = []
    for number in range(4):
        parts = {"step": "extract", "encoder": "minilm", "pool": "mean", "number": number}
        remember(folder, parts, lambda: VALUES)
        paths.append(folder / f"{content_key(parts)}.npz")
        os.utime(paths[-1], (1e9 + number * 86400, 1e9 + number * 86400))
    return paths


def test_entries_are_listed_by_their_last_use(tmp_path: Path) -> None:
    paths = several(tmp_path)
    (tmp_path / "notes.npz").touch()
    found = cache.entries(tmp_path)
    assert [entry.path for entry in found] == paths
    assert {entry.summary for entry in found} == {"extract minilm mean"}


def test_reading_counts_as_use(tmp_path: Path) -> None:
    several(tmp_path)
    remember(tmp_path, {"step": "extract", "encoder": "minilm", "pool": "mean", "number": 0}, lambda: VALUES)
    assert cache.entries(tmp_path)[-1].used.year > 2020


def test_damage_is_said(tmp_path: Path) -> None:
    paths = several(tmp_path)
    paths[1].write_bytes(paths[1].read_bytes()[:-1] + b"0")
    assert [bool(cache.damage(path)) for path in paths] == [False, True, False, False]
    assert [entry.path for entry in cache.to_prune(tmp_path, damaged=True)] == [paths[1]]


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.9])
def test_an_entry_that_was_cut_is_listed_as_damaged(tmp_path: Path, share: float) -> None:
    path = several(tmp_path)[1]
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    assert {found.path: found.summary for found in cache.entries(tmp_path)}[path] == "damaged: cannot be read"
    assert [entry.path for entry in cache.to_prune(tmp_path, damaged=True)] == [path]


def test_a_flipped_bit_never_keeps_a_cache_from_being_listed(tmp_path: Path) -> None:
    path = entry(tmp_path)
    whole = path.read_bytes()
    for position in range(len(whole) - 500, len(whole)):  # the summary and the archive's directory
        flipped = whole[position] ^ (1 << position % 8)
        path.write_bytes(whole[:position] + bytes([flipped]) + whole[position + 1 :])
        assert len(cache.entries(tmp_path)) == 1


def test_an_array_of_another_kind_is_damaged(tmp_path: Path) -> None:
    path = several(tmp_path)[0]
    with path.open("wb") as file:
        np.save(file, VALUES)
    assert "damaged: cannot be read" in {entry.summary for entry in cache.entries(tmp_path)}


def test_an_empty_archive_with_its_checksum_is_made_anew(tmp_path: Path) -> None:
    path = entry(tmp_path)
    path.write_bytes(hashlib.sha256(b"").hexdigest().encode())
    assert cache.damage(path)
    with pytest.warns(UserWarning, match="is damaged"):
        remember(tmp_path, PARTS, lambda: VALUES)


def test_a_link_to_nothing_is_damaged_and_may_go(tmp_path: Path) -> None:
    several(tmp_path)
    link = tmp_path / f"{'0' * 64}.npz"
    link.symlink_to(tmp_path / "gone")
    assert "No such file" in cache.damage(link)
    assert [entry.path for entry in cache.to_prune(tmp_path, damaged=True)] == [link]


def test_a_folder_named_like_an_entry_is_damage_that_is_left_alone(tmp_path: Path) -> None:
    several(tmp_path)
    folder = tmp_path / f"{'0' * 64}.npz"
    folder.mkdir()
    assert folder in {entry.path for entry in cache.entries(tmp_path)}
    assert cache.damage(folder) == "it is a folder, which prune leaves alone; move it away"
    assert folder not in {entry.path for entry in cache.to_prune(tmp_path, damaged=True, most_bytes=0)}


def test_the_longest_unused_go_first(tmp_path: Path) -> None:
    paths = several(tmp_path)
    size = paths[0].stat().st_size
    assert [entry.path for entry in cache.to_prune(tmp_path, most_bytes=2 * size)] == paths[:2]
    os.utime(paths[3])
    assert [entry.path for entry in cache.to_prune(tmp_path, older_than_days=1)] == paths[:3]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        cache.entries(tmp_path / "none")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_costs_the_entry_and_not_the_values(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.warns(UserWarning, match="could not be written"):
        assert remember(tmp_path, PARTS, lambda: VALUES) is VALUES
