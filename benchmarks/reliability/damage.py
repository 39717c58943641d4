"""Files whose bits are flipped, and which are cut short: each is refused by name, or reads as it was written."""

from __future__ import annotations

import json
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

BAR = {"refused", "unchanged", "resumed", "had ended"}
"""Outcomes that are due: an error that names the file, the same content, or the same after going on."""


class Kind(NamedTuple):
    """A kind of file: what writes one, what reads one, and how many are damaged."""

    name: str
    write: Callable[[Path], Path]
    read: Callable[[Path], Any]
    flips: int
    cuts: int


# --- what is written and read -----------------------------------------------------------------------------------------


def write_result(folder: Path) -> Path:
    """Write a result with several models, a ceiling and a null."""
    from sklearn.model_selection import KFold

    from neuroling import Permutation, Ridge, Stimuli, align, evaluate, pearson

    rng = np.random.default_rng(0)
    stimuli = Stimuli.from_texts([f"word {number}" for number in range(40)])
    x = rng.standard_normal((40, 3))
    y = x @ rng.standard_normal((3, 12)) + rng.standard_normal((40, 12))
    data = align(
        {"meaning": stimuli.features(x), "length": stimuli.features(x[:, :1])},
        stimuli.features(y).rename(feature="voxel"),
    )
    null = Permutation(50, keep_draws=True)
    result = evaluate(Ridge(1.0, device="cpu"), data, splits=KFold(5), metric=pearson, inference=null, rng=0)
    path = folder / "result.nc"
    result.save(path)
    return path


def read_result(path: Path) -> Any:
    """Everything that a result holds."""
    from neuroling import Result

    result = Result.load(path)
    null = result.null
    return {
        "score": plain(result.score),
        "table": result.to_dataframe().to_csv(),
        "draws": plain(null.draws) if null is not None and null.draws is not None else None,
        "p": plain(result.p_values("max")),
        "summary": result.summary(),
        "provenance": repr(result.provenance),
    }


def write_features(folder: Path) -> Path:
    """Write features with onsets and groups, sealed."""
    import h5netcdf

    from neuroling.features.storage.files import add_values, write_labels
    from neuroling.features.storage.seal import sealed

    rng = np.random.default_rng(0)
    features = xr.DataArray(
        rng.standard_normal((60, 2, 16)).astype(np.float32),
        dims=("sample", "layer", "feature"),
        coords={
            "sample": [f"word {number}" for number in range(60)],
            "layer": [0, 6],
            "feature": np.arange(16),
            "onset": ("sample", np.linspace(0.0, 29.5, 60)),
            "group": ("sample", ["story"] * 60),
        },
        attrs={"encoder": "minilm", "weights_sha256": "a" * 64, "pool": "mean"},
        name="features",
    )
    path = folder / "features.nc"
    template = sealed(features)
    write_labels(path, template)
    with h5netcdf.File(path, "r+") as file:
        add_values(file, template)
        file["features"][:] = features.transpose("layer", "sample", "feature").to_numpy()
    return path


def read_features(path: Path) -> Any:
    """Values, labels and attributes of features."""
    from neuroling.features.storage.seal import open_sealed

    with open_sealed(path) as features:
        return plain(features.transpose("sample", "layer", "feature").load())


PARTS = {"model": "minilm", "layer": 3, "texts": "a" * 64}


def cached_values() -> np.ndarray:
    """Make what the cache keeps."""
    return np.random.default_rng(0).standard_normal((30, 16)).astype(np.float32)


def write_cache(folder: Path) -> Path:
    """Write an entry of the cache of features."""
    from neuroling.features.storage.cache import content_key, remember

    folder.chmod(0o700)
    remember(folder, PARTS, cached_values)
    return folder / f"{content_key(PARTS)}.npz"


def read_cache(path: Path) -> Any:
    """Ask the cache: the entry, or the values computed again with a warning."""
    from neuroling.features.storage.cache import remember

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return remember(path.parent, PARTS, cached_values).copy()


def _model() -> tuple[Any, Any]:
    import torch

    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(6, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))
    return model, torch.optim.AdamW(model.parameters(), lr=0.01)


def write_checkpoint(folder: Path) -> Path:
    """Write a checkpoint of a small training run; returns its folder."""
    import torch

    from neuroling.lm.checkpoints import write_checkpoint

    model, optimizer = _model()
    model(torch.ones(3, 6)).sum().backward()
    optimizer.step()
    return write_checkpoint(
        folder, 7, model, optimizer=optimizer, configuration={"seed": 1}, history={"loss": torch.ones(7)}
    )


def read_checkpoint(path: Path) -> Any:
    """Weights, moments, step and curve of a checkpoint, of which ``path`` is a file."""
    from neuroling.lm.checkpoints import read_checkpoint

    model, optimizer = _model()
    folder = next(parent for parent in path.parents if parent.name.startswith("step-"))
    step, history = read_checkpoint(folder, model, optimizer, {"seed": 1})
    moments = {
        f"{i} {name}": one.numpy()
        for i, state in optimizer.state_dict()["state"].items()
        for name, one in state.items()
    }
    weights = {name: one.numpy() for name, one in model.state_dict().items()}
    return {"step": step, "loss": history["loss"].numpy(), **weights, **moments}


def write_network(folder: Path) -> Path:
    """Write a trained network of the simulator."""
    from neuroling.n400 import trained_network
    from neuroling.n400.networks import save_network

    save_network(trained_network(0), folder / "network.safetensors")
    return folder / "network.safetensors"


def read_network(path: Path) -> Any:
    """Weights, lexicon and description of a network."""
    from neuroling.n400.networks import load_network

    network = load_network(path)
    table = network.lexicon.table.to_dict("list")
    return {
        **network.weights,
        "semantics": network.lexicon.semantics,
        "table": repr(table),
        "is": repr(network.training),
    }


def write_nifti(folder: Path) -> Path:
    """Write a compressed image of three volumes."""
    import nibabel

    values = np.random.default_rng(0).standard_normal((6, 7, 8, 3)).astype(np.float32)
    nibabel.Nifti1Image(values, np.diag([3.0, 3, 3, 1])).to_filename(folder / "image.nii.gz")
    return folder / "image.nii.gz"


def write_plain_nifti(folder: Path) -> Path:
    """Write an uncompressed image."""
    import nibabel

    values = np.random.default_rng(0).standard_normal((6, 7, 8, 3)).astype(np.float32)
    nibabel.Nifti1Image(values, np.diag([3.0, 3, 3, 1])).to_filename(folder / "image.nii")
    return folder / "image.nii"


def read_nifti(path: Path) -> Any:
    """Values and position of an image."""
    from neuroling.data.images import load_image

    image = load_image(path)
    return {"values": np.asarray(image.dataobj), "affine": image.affine}


def write_mat(folder: Path) -> Path:
    """Write a compressed file of MATLAB."""
    import scipy.io

    values = np.random.default_rng(0).standard_normal((20, 30))
    scipy.io.savemat(
        folder / "data.mat", {"data": values, "names": np.array(["a", "b"], dtype=object)}, do_compression=True
    )
    return folder / "data.mat"


def read_mat_file(path: Path) -> Any:
    """Read the variable, and whatever belongs to it."""
    from neuroling.data.matfile import read_mat

    return dict(read_mat(path, ["data"]))


def write_zip(folder: Path) -> Path:
    """Write an archive as data sets are downloaded."""
    with zipfile.ZipFile(folder / "set.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("words.csv", "word,onset\n" + "".join(f"word{i},{i / 2}\n" for i in range(200)))
        archive.writestr("values.bin", np.random.default_rng(0).bytes(2000))
    return folder / "set.zip"


def write_tar(folder: Path) -> Path:
    """Write a compressed tar archive."""
    import tarfile

    (folder / "words.csv").write_text("word,onset\n" + "".join(f"word{i},{i / 2}\n" for i in range(200)))
    (folder / "values.bin").write_bytes(np.random.default_rng(0).bytes(2000))
    with tarfile.open(folder / "set.tar.gz", "w:gz") as archive:
        archive.add(folder / "words.csv", "words.csv")
        archive.add(folder / "values.bin", "values.bin")
    return folder / "set.tar.gz"


def read_archive(path: Path) -> Any:
    """Unpack, and read the members."""
    import tempfile

    from neuroling.data.archives import unpack

    with tempfile.TemporaryDirectory() as folder:
        unpack(path, Path(folder))
        return {one.name: one.read_bytes() for one in sorted(Path(folder).rglob("*")) if one.is_file()}


def write_gifti(folder: Path) -> Path:
    """Write values on the left half of fsaverage3, of one volume each."""
    import nibabel

    values = np.random.default_rng(0).standard_normal((4, 642)).astype(np.float32)
    arrays = [nibabel.gifti.GiftiDataArray(row, intent="NIFTI_INTENT_TIME_SERIES") for row in values]
    image = nibabel.gifti.GiftiImage(darrays=arrays)
    image.to_filename(folder / "sub-01_hemi-L.func.gii")
    return folder / "sub-01_hemi-L.func.gii"


def read_gifti(path: Path) -> Any:
    """Read the recording, labels included."""
    from neuroling.data.surfaces import read_gifti

    samples = pd.DataFrame({"sample": [f"volume {number}" for number in range(4)]})
    return plain(read_gifti({"left": path}, samples, space="fsaverage3"))


KINDS = [
    Kind("result of an evaluation (.nc)", write_result, read_result, 300, 15),
    Kind("features (.nc)", write_features, read_features, 300, 15),
    Kind("entry of the cache of features (.npz)", write_cache, read_cache, 150, 15),
    Kind("checkpoint of a training run (folder)", write_checkpoint, read_checkpoint, 150, 15),
    Kind("trained network of the simulator (.safetensors)", write_network, read_network, 150, 15),
    Kind("compressed image (.nii.gz)", write_nifti, read_nifti, 100, 15),
    Kind("image (.nii)", write_plain_nifti, read_nifti, 0, 15),
    Kind("surface (.gii)", write_gifti, read_gifti, 0, 15),
    Kind("MATLAB, compressed (.mat)", write_mat, read_mat_file, 50, 15),
    Kind("archive (.zip)", write_zip, read_archive, 50, 15),
    Kind("archive (.tar.gz)", write_tar, read_archive, 50, 15),
]


# --- what is tried ----------------------------------------------------------------------------------------------------


def flips(folder: Path, seed: int = 0, only: str = "") -> Iterator[tuple[str, str, str]]:
    """Flip one bit at a time; gives the kind of file, the outcome and what was done."""
    for kind in KINDS:
        if kind.flips and only in kind.name:
            yield from _damaged(kind, folder, np.random.default_rng(seed), kind.flips, _flipped)


def cuts(folder: Path, seed: int = 0, only: str = "") -> Iterator[tuple[str, str, str]]:
    """Cut files short, half of them in their last hundred bytes."""
    for kind in KINDS:
        if kind.cuts and only in kind.name:
            yield from _damaged(kind, folder, np.random.default_rng(seed), kind.cuts, _cut)


def _flipped(content: bytes, _number: int, rng: np.random.Generator) -> tuple[bytes, str]:
    place, bit = int(rng.integers(len(content))), int(rng.integers(8))
    changed = bytearray(content)
    changed[place] ^= 1 << bit
    return bytes(changed), f"bit {bit} of byte {place}"


def _cut(content: bytes, number: int, rng: np.random.Generator) -> tuple[bytes, str]:
    last = min(100, len(content) - 1)
    length = int(rng.integers(len(content) - last, len(content)) if number % 2 else rng.integers(len(content)))
    return content[:length], f"cut after {length} of {len(content)} bytes"


def _damaged(
    kind: Kind,
    folder: Path,
    rng: np.random.Generator,
    n: int,
    damage: Callable[[bytes, int, np.random.Generator], tuple[bytes, str]],
) -> Iterator[tuple[str, str, str]]:
    place = folder / str(abs(zlib.crc32(kind.name.encode())))
    place.mkdir(parents=True, exist_ok=True)
    made = kind.write(place)
    files = sorted(one for one in made.rglob("*") if one.is_file()) if made.is_dir() else [made]
    contents = {file: file.read_bytes() for file in files}
    sizes = np.array([len(content) for content in contents.values()], dtype=float)
    whole = kind.read(files[0])
    for number in range(n):
        file = files[int(rng.choice(len(files), p=sizes / sizes.sum()))]
        changed, what = damage(contents[file], number, rng)
        file.write_bytes(changed)
        outcome, why = _outcome(kind, file, whole)
        file.write_bytes(contents[file])
        yield kind.name, outcome, f"{file.name}, {what}{why}"


def _outcome(kind: Kind, file: Path, whole: Any) -> tuple[str, str]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read = kind.read(file)
    except (ValueError, OSError) as error:
        is_named = any(part in str(error) for part in (file.name, file.parent.name, file.parent.parent.name))
        return ("refused", "") if is_named else ("not named", f": {type(error).__name__}: {error}")
    except Exception as error:
        return "bare error", f": {type(error).__name__}: {error}"
    return ("unchanged", "") if same(read, whole) else ("silent", "")


def plain(array: xr.DataArray) -> dict[str, Any]:
    """Values, labels and attributes of an array."""
    return {
        "values": array.to_numpy(),
        "dims": array.dims,
        **{f"label {name}": label.to_numpy() for name, label in array.coords.items()},
        "attrs": json.dumps({str(k): repr(v) for k, v in array.attrs.items()}, sort_keys=True),
    }


def same(one: Any, other: Any) -> bool:
    """Whether two contents are the same to the last bit."""
    if isinstance(one, dict):
        return isinstance(other, dict) and one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, np.ndarray):
        if not isinstance(other, np.ndarray) or one.shape != other.shape or one.dtype != other.dtype:
            return False
        return one.tobytes() == other.tobytes() if one.dtype.kind != "O" else one.tolist() == other.tolist()
    return bool(one == other)


def counted(trials: Iterator[tuple[str, str, str]]) -> dict[str, Any]:
    """Count outcomes by kind, and keep what is not due."""
    by_kind: dict[str, Counter[str]] = {}
    failures = []
    for kind, outcome, what in trials:
        by_kind.setdefault(kind, Counter())[outcome] += 1
        if outcome not in BAR:
            failures.append(f"{kind}: {outcome}: {what}")
    return {"counts": {kind: dict(counts) for kind, counts in by_kind.items()}, "failures": failures}
