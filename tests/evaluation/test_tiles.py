"""Tiles: the scores of the whole, one file each, whoever made them and however often they were killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from neuroling import (
    CircularShift,
    ContiguousFolds,
    Result,
    Ridge,
    RidgeCV,
    Stimuli,
    align,
    evaluate,
    pearson,
    two_vs_two,
)
from neuroling.data.sources import ArraySource
from neuroling.evaluation.tiles import Tile, Tiles, described, join_tiles

N, VOXELS = 80, 11
OPTIONS = {"splits": ContiguousFolds(4, gap=2), "metric": pearson}
NULL = CircularShift(25, minimum=5)


@pytest.fixture
def features():
    labels = [f"volume {i}" for i in range(N)]
    return Stimuli.from_texts(labels).features(np.random.default_rng(0).standard_normal((N, 4)))


@pytest.fixture
def source(features):
    return make_source(features)


def make_source(features, **coords):
    rng = np.random.default_rng(1)
    values = features.values @ rng.standard_normal((4, VOXELS)) + rng.standard_normal((N, VOXELS))
    return ArraySource(values, {"sample": features.sample.values, "time_index": np.arange(N), **coords})


def whole(features, source, **options):
    return evaluate(Ridge(1.0, device="cpu"), align(features, source.read(slice(None))), **OPTIONS, **options)


def tiled(features, source, folder, **options):
    """Evaluate tiles into files; options of ``Tiles`` and of ``evaluate`` together."""
    own = {name: options.pop(name) for name in ("of", "only", "unusable", "memory_bytes") if name in options}
    tiles, data = Tiles(**own, folder=folder), align(features, source)
    evaluate(Ridge(1.0, device="cpu"), data, **{**OPTIONS, **options}, tiles=tiles)
    return [folder / tile.file_name for tile in tiles.wanted]


def loaded(paths):
    return {path.name: Result.load(path) for path in paths}


@pytest.mark.parametrize("of", [1, 3, VOXELS])
def test_tiles_cover_every_target_once(of):
    places = np.concatenate([np.arange(VOXELS)[tile.targets(VOXELS)] for tile in Tile.all(of)])
    np.testing.assert_array_equal(places, np.arange(VOXELS))


def test_joined_tiles_have_the_scores_of_the_whole(features, source, tmp_path):
    joined = join_tiles(loaded(tiled(features, source, tmp_path, of=4)))
    xr.testing.assert_allclose(joined.score, whole(features, source).score, rtol=1e-10)


def test_joined_tiles_have_the_null_of_the_whole(features, source, tmp_path):
    joined = join_tiles(loaded(tiled(features, source, tmp_path, of=4, inference=NULL)))
    xr.testing.assert_allclose(joined.p_values("max"), whole(features, source, inference=NULL).p_values("max"))


def test_the_order_of_the_files_does_not_matter(features, source, tmp_path):
    results = loaded(tiled(features, source, tmp_path, of=4))
    one, other = join_tiles(results), join_tiles(dict(reversed(results.items())))
    assert one.data.identical(other.data)


def test_a_job_makes_its_tile_alone_with_the_same_bits(features, source, tmp_path):
    alone = tiled(features, source, tmp_path / "a", of=4, only=3, inference=NULL)
    among = tiled(features, source, tmp_path / "b", of=4, inference=NULL)
    assert Result.load(alone[0]).data.identical(Result.load(among[2]).data)


def test_a_tile_that_is_there_is_not_made_again(features, source, tmp_path):
    first = tiled(features, source, tmp_path, of=4)
    before = [path.stat().st_mtime_ns for path in first]
    assert [path.stat().st_mtime_ns for path in tiled(features, source, tmp_path, of=4)] == before


def test_a_damaged_tile_is_made_again(features, source, tmp_path):
    path = tiled(features, source, tmp_path, of=4, only=1)[0]
    path.write_bytes(path.read_bytes()[:-200])
    assert Result.load(tiled(features, source, tmp_path, of=4, only=1)[0]).score.size == 2


def test_the_result_of_all_tiles_is_that_of_the_whole(features, source):
    model, data = Ridge(1.0, device="cpu"), align(features, source)
    joined = evaluate(model, data, **OPTIONS, inference=NULL, tiles=Tiles(4))
    reference = whole(features, source, inference=NULL)
    xr.testing.assert_allclose(joined.score, reference.score, rtol=1e-10)
    xr.testing.assert_allclose(joined.p_values("max"), reference.p_values("max"))


def test_a_recording_on_disk_needs_no_tiles(features, source):
    result = evaluate(Ridge(1.0, device="cpu"), align(features, source), **OPTIONS, inference=NULL)
    reference = whole(features, source, inference=NULL)
    xr.testing.assert_equal(result.score, reference.score)
    xr.testing.assert_equal(result.p_values("max"), reference.p_values("max"))


def test_tiles_take_several_feature_spaces(features, source, tmp_path):
    spaces, model = {"all": features, "first two": features[:, :2]}, Ridge(1.0, device="cpu")
    joined = evaluate(model, align(spaces, source), **OPTIONS, tiles=Tiles(3, folder=tmp_path))
    reference = evaluate(model, align(spaces, source.read(slice(None))), **OPTIONS)
    xr.testing.assert_allclose(joined.score, reference.score, rtol=1e-10)


def test_one_tile_gives_its_targets(features, source):
    result = evaluate(Ridge(1.0, device="cpu"), align(features, source), **OPTIONS, tiles=Tiles(4, only=2))
    assert result.score.voxel.values.tolist() == np.arange(VOXELS)[Tile(2, 4).targets(VOXELS)].tolist()


def test_tiles_refuse_a_generator_whose_draws_would_differ(features, source):
    with pytest.raises(TypeError, match="tiles need the same draws"):
        evaluate(Ridge(1.0), align(features, source), **OPTIONS, rng=np.random.default_rng(0), tiles=Tiles(2))


def test_smaller_stretches_give_the_same_scores(features, source, tmp_path, caplog):
    few = tiled(features, source, tmp_path / "a", of=1, only=1, inference=NULL, memory_bytes=20_000)
    at_once = tiled(features, source, tmp_path / "b", of=1, only=1, inference=NULL)
    one, other = (Result.load(paths[0]).data.drop_attrs() for paths in (few, at_once))
    xr.testing.assert_allclose(one, other, rtol=1e-10)


def test_smaller_stretches_are_said_once(features, source, tmp_path, caplog):
    caplog.set_level("INFO", "neuroling")
    tiled(features, source, tmp_path, of=2, memory_bytes=10_000)
    assert sum("Memory: every tile" in message for message in caplog.messages) == 1


PEAK = """
import numpy as np
from pathlib import Path
from neuroling import CircularShift, ContiguousFolds, Ridge, Stimuli, pearson
from neuroling.data.sources import ArraySource
from neuroling import align, evaluate
from neuroling.evaluation import Tiles

def memory(field):
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return 1024 * int(line.split()[1])

folder, kept, n = Path({folder!r}), {kept!r}, 400
rng, stimuli = np.random.default_rng(0), Stimuli.from_texts([f"volume {{i}}" for i in range(n)])
features = stimuli.features(rng.standard_normal((n, 30)))
coords = {{"sample": stimuli.labels, "time_index": np.arange(n)}}
values = rng.standard_normal((n, 40_000), dtype=np.float32)
null = {{"none": None, "kept": CircularShift(20, minimum=5, keep_draws=False, keep_choices=True),
        "anew": CircularShift(20, minimum=5, keep_draws=False)}}[kept]
options = {{"splits": ContiguousFolds(4, gap=2), "metric": pearson}}
options |= {{"rng": 0, "inference": null}}
model = Ridge(1.0, device="cpu")
few, all_of_it = (align(features, ArraySource(part, coords)) for part in (values[:, :50], values))
evaluate(model, few, tiles=Tiles(folder=folder / "warm"), **options)
before = memory("VmRSS")
Path("/proc/self/clear_refs").write_text("5")
evaluate(model, all_of_it, tiles=Tiles(folder=folder / "whole", memory_bytes=48e6), **options)
print(memory("VmHWM") - before - values.nbytes)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peaks of memory are reset on Linux only")
@pytest.mark.parametrize(("kept", "beside"), [("none", 0), ("kept", 0), ("anew", 200e6)])
def test_the_bound_on_memory_is_kept(tmp_path, kept, beside):
    """Beside one copy of the tile and the bound, a null that fits anew may stack draws."""
    script = PEAK.format(folder=str(tmp_path), kept=kept)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 48e6 + beside


def with_bad(source):
    values = np.array(source.values)
    values[:, 2], values[3, 5] = 7.0, np.nan
    return replace(source, values=values)


def test_unusable_targets_are_scored_as_nan_on_request(features, source, tmp_path):
    paths = tiled(features, with_bad(source), tmp_path, of=2, unusable="score as NaN", inference=NULL)
    assert np.flatnonzero(join_tiles(loaded(paths)).score.isnull()).tolist() == [2, 5]


def test_unusable_targets_leave_the_others_as_they_are(features, source, tmp_path):
    paths = tiled(features, with_bad(source), tmp_path, of=1, unusable="score as NaN", inference=NULL)
    good = [v for v in range(VOXELS) if v not in (2, 5)]
    reference = whole(features, source, inference=NULL).p_values().sel(voxel=good)
    xr.testing.assert_allclose(join_tiles(loaded(paths)).p_values().sel(voxel=good), reference)


def test_unusable_targets_are_named_in_the_record(features, source, tmp_path):
    paths = tiled(features, with_bad(source), tmp_path, of=1, unusable="score as NaN")
    assert "2 of 11 targets are constant or not finite" in Result.load(paths[0]).provenance.notes[0]


def test_unusable_targets_are_refused_by_default(features, source, tmp_path):
    with pytest.raises(ValueError, match=r"2 of 11 targets are constant or not finite.*unusable='score as NaN'"):
        tiled(features, with_bad(source), tmp_path, of=1)


def made(features, source, folder, **options):
    return loaded(tiled(features, source, folder, of=2, **options))


def other_folds(features, source, folder):
    tiled(features, source, folder, of=2)
    tiled(features, source, folder, of=2, splits=ContiguousFolds(3, gap=2))


def other_recording(features, source, folder):
    tiled(features, source, folder, of=2)
    tiled(features, replace(source, values=source.values + 1), folder, of=2)


def other_version(features, source, folder):
    path = tiled(features, source, folder, of=2, only=1)[0]
    old = Result.load(path)
    Result(old.data, replace(old.provenance, versions={**old.provenance.versions, "torch": "1.0"})).save(path)
    tiled(features, source, folder, of=2)


def joined_over_folders(features, source, folder):
    one = made(features, source, folder / "a")
    other = made(features, source, folder / "b", rng=1)
    join_tiles({"one": one["tile-1-of-2.nc"], "other": other["tile-2-of-2.nc"]})


def joined_twice(features, source, folder):
    results = made(features, source, folder)
    join_tiles({**results, "again": results["tile-1-of-2.nc"]})


def joined_in_part(features, source, folder):
    join_tiles({"second": made(features, source, folder)["tile-2-of-2.nc"]})


def same_targets_twice(features, source, folder):
    results = made(features, source, folder)
    second = results["tile-2-of-2.nc"]
    relabelled = second.data.assign_coords(voxel=np.arange(second.score.size))
    join_tiles({**results, "tile-2-of-2.nc": Result(relabelled, second.provenance)})


def nothing_usable(features, source, folder):
    bad = replace(source, values=np.ones((N, VOXELS)))
    tiled(features, bad, folder, of=1, unusable="score as NaN")


BAD = {
    "other folds": (other_folds, "made with another configuration: splits is 'ContiguousFolds.*n_splits=4"),
    "other recording": (other_recording, "made with another recording"),
    "other version": (other_version, "made with another version: torch is '1.0' there"),
    "tiles of two runs": (joined_over_folders, "one and other come from different configurations: seed"),
    "tile twice": (joined_twice, "is a tile that stands twice"),
    "tile missing": (joined_in_part, "1 of 2 tiles are missing, first .1.; finish them, with --tile 1/2"),
    "nothing to join": (lambda *_: join_tiles({}), "none given"),
    "no tile": (lambda f, s, _: join_tiles({"x.nc": whole(f, s)}), "x.nc is no tile"),
    "labels in two tiles": (same_targets_twice, "labels of 'voxel' stand in two tiles"),
    "pattern metric": (lambda f, s, p: tiled(f, s, p, of=2, metric=two_vs_two), "two_vs_two.* consumes .'voxel'"),
    "selector": (lambda f, s, p: tiled(f, s, p, of=2, select=len), "select chooses among all targets"),
    "recording in memory": (lambda f, s, _: whole(f, s, tiles=Tiles(2)), "recording is in memory"),
    "unusable in other words": (lambda *_: Tiles(unusable="skip"), "expected one of"),
    "other labels": (lambda f, s, p: tiled(f.isel(sample=slice(9)), s, p), "71 of 80 in the recording alone"),
    "more tiles than targets": (lambda f, s, p: tiled(f, s, p, of=12, only=1), "at most 11 tiles"),
    "tile zero": (lambda *_: Tile.parse("0/4"), "expected a number from 1"),
    "tile in words": (lambda *_: Tile.parse("first"), "such as 3/40"),
    "no tiles": (lambda *_: Tile.all(0), "expected at least one"),
    "no memory": (lambda f, s, p: tiled(f, s, p, of=1, memory_bytes=10), "do not hold one target"),
    "nothing usable": (nothing_usable, "all 11 targets from 0 to 10 are constant or not finite"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_a_sentence(case, features, source, tmp_path):
    make, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        make(features, source, tmp_path)


@pytest.mark.slow
def test_a_description_is_the_same_in_every_process():
    code = (
        "import numpy as np; from neuroling import *; from neuroling.evaluation.tiles import described; "
        "print(described([RidgeCV(np.logspace(0, 3, 50), folds=ContiguousFolds(3)), "
        "pearson.along('time'), CircularShift()]))"
    )
    said = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout for _ in "ab"
    }
    assert len(said) == 1


def test_a_description_tells_two_penalties_apart():
    grid = np.logspace(0, 3, 500)
    other = np.where(np.arange(500) == 250, 3.0, grid)
    assert described(RidgeCV(grid)) != described(RidgeCV(other))


WORKER = """
import sys
from pathlib import Path
import numpy as np, pandas as pd, xarray as xr
from neuroling import CircularShift, ContiguousFolds, RidgeCV, pearson
from neuroling.data.sources import open_npy
from neuroling import align, evaluate
from neuroling.evaluation import Tiles

folder, out = Path(sys.argv[1]), Path(sys.argv[2])
features = xr.load_dataarray(folder / "features.nc", engine="h5netcdf")
samples = pd.DataFrame({"sample": features.sample.values, "time_index": np.arange(features.sizes["sample"])})
folds = ContiguousFolds(4, gap=2)
print("started", flush=True)
data = align(features, open_npy(folder / "y.npy", samples))
evaluate(RidgeCV((1.0, 100.0), folds=folds, device="cpu"), data, tiles=Tiles(12, folder=out), splits=folds,
         metric=pearson, inference=CircularShift(25, minimum=5))
"""


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_was_and_gives_the_same_bits(tmp_path, features):
    """SIGKILL at eight moments, each run going on in the folder that the killed one left."""
    rng = np.random.default_rng(1)
    features.to_netcdf(tmp_path / "features.nc", engine="h5netcdf")
    np.save(tmp_path / "y.npy", (features.values @ rng.standard_normal((4, 600)) + rng.standard_normal((N, 600))))
    command = [sys.executable, "-c", WORKER, str(tmp_path)]
    subprocess.run([*command, str(tmp_path / "whole")], check=True, capture_output=True)
    made: dict[str, int] = {}
    for _ in range(8):
        process = subprocess.Popen([*command, str(tmp_path / "killed")], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        wait_for_another(tmp_path / "killed", len(made), process)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        now = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "killed").glob("tile-*.nc")}
        assert {name: now[name] for name in made} == made  # what was finished was not touched
        made = now
    assert 0 < len(made) < 12
    subprocess.run([*command, str(tmp_path / "killed")], check=True, capture_output=True)
    for path in sorted((tmp_path / "whole").glob("tile-*.nc")):
        killed = tmp_path / "killed" / path.name
        assert made.get(path.name, killed.stat().st_mtime_ns) == killed.stat().st_mtime_ns
        assert Result.load(path).data.identical(Result.load(killed).data)


def wait_for_another(folder, n_before, process):
    """Wait until one more tile is there, and then for a moment that differs from run to run."""
    deadline = time.monotonic() + 120
    while len(list(folder.glob("tile-*.nc"))) <= n_before and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    time.sleep((os.getpid() + n_before * 7) % 11 / 1000)


def test_tiles_made_by_other_libraries_of_products_are_told_apart(features, source, tmp_path, monkeypatch):
    (first,) = tiled(features, source, tmp_path, of=3, only=1)
    there = Result.load(first)
    versions = {**there.provenance.versions, "matrix products": "multiply float64 another"}
    Result(there.data, replace(there.provenance, versions=versions)).save(first)
    with pytest.warns(UserWarning, match="different libraries of matrix products .*another"):
        tiled(features, source, tmp_path, of=3)
