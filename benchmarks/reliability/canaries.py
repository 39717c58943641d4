"""Code and marks that others plant: in the current folder, in tables, labels, archives and models; none may come alive.

A canary is a file that would be written, or text that would reach a page or a terminal, if what was planted were run or
printed as it is.
"""

from __future__ import annotations

import json
import pickle
import shlex
import subprocess
import sys
import tarfile
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path

import interruptions
import numpy as np
import xarray as xr

MODULES = ("numpy", "scipy", "torch", "typer", "json", "h5py", "random", "xarray", "pandas", "neuroling")
"""Names of modules that are planted in the current folder."""

STRINGS = (
    "$(touch canary)",
    "`touch canary`",
    "; touch canary",
    "a b; touch canary #",
    "x' ; touch canary '",
    '" ; touch canary "',
    "| touch canary",
    "\n touch canary",
)
"""What a shell would run."""

MARKUP = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "</title><script>alert(1)</script>",
    '"><svg onload=alert(1)>',
    "<a href='javascript:alert(1)'>x</a>",
    "<iframe src=//elsewhere.example></iframe>",
)
"""What a browser would run."""

ESCAPES = ("\x1b[2J", "\x1b]0;title\x07", "\x1b[31m", "\u202eabc", "\x9b2J", "a\rb")
"""What a terminal would obey."""


class Planted:
    """An object that touches a file when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.canary,)


def canaries(folder: Path) -> Iterator[tuple[str, str, str]]:
    """Plant all; gives where, whether it came alive, and what it was."""
    folder.mkdir(parents=True, exist_ok=True)
    for plant in (_in_the_folder, _in_tables, _in_labels, _in_terminals, _in_pickles, _in_archives, _in_models):
        place = folder / plant.__name__
        place.mkdir()
        yield from plant(place)


def _neuroling(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    line = [str(Path(sys.executable).with_name("neuroling")), *arguments]
    return subprocess.run(
        line, cwd=place, env=interruptions._environment(), capture_output=True, text=True, check=False, timeout=300
    )


def _state(place: Path, is_refused: bool = False) -> str:
    if list(place.rglob("canary*")):
        for one in place.rglob("canary*"):
            one.unlink()
        return "fired"
    return "refused" if is_refused else "unchanged"


def _in_the_folder(place: Path) -> Iterator[tuple[str, str, str]]:
    """Plant modules where commands are run that start further processes."""
    import scipy.io

    interruptions.for_encode(place)
    (place / "stimuli.csv").write_text("sample,text\na,the cat saw the dog\nb,the ship\nc,the tree\nd,the house\n")
    interruptions.tiny_model(place / "tiny")
    (place / "data").mkdir()
    scipy.io.savemat(place / "data" / "x.mat", {"x": np.arange(3.0)})
    canary = place / "canary"
    for name in MODULES:
        (place / f"{name}.py").write_text(f"open({str(canary)!r}, 'w').close()\nraise ImportError('planted')\n")
    encode = ("recording.npy", "-x", "features.nc", "--samples", "samples.csv", "--device", "cpu")
    reading = "from neuroling.data.matfile import read_mat; print(read_mat('data/x.mat', ['x'])['x'].sum())"
    environment = {**interruptions._environment(), "PYTHONSAFEPATH": "1"}
    for what, run in {
        "encode": lambda: _neuroling(place, "encode", *encode, "-o", "out", "--penalties", "0:1:2"),
        "encode --dry-run": lambda: _neuroling(place, "encode", *encode, "-o", "dry", "--dry-run"),
        "extract --dry-run": lambda: _neuroling(
            place, "extract", "stimuli.csv", "-m", "./tiny", "-o", "f.nc", "--dry-run", "--device", "cpu"
        ),
        "doctor": lambda: _neuroling(place, "doctor"),
        "reading .mat": lambda: subprocess.run(
            [sys.executable, "-c", reading], cwd=place, env=environment, capture_output=True, text=True, check=False
        ),
    }.items():
        done = run()
        outcome = _state(place) if done.returncode == 0 else f"did not run: {done.stderr[-300:]}"
        for name in MODULES if what != "encode" else MODULES[:4]:
            yield "module in the current folder", outcome, f"{name}.py, {what}"


def _in_tables(place: Path) -> Iterator[tuple[str, str, str]]:
    """Plant commands in tables and configurations of workflows, and run them by a shell."""
    from neuroling import workflow

    for number, bad in enumerate(STRINGS):
        spot = place / str(number)
        spot.mkdir()
        try:
            text = workflow.shell_options({"options": shlex.quote(bad)})
            subprocess.run(["/bin/bash", "-c", f"true {text}"], cwd=spot, check=False)
            outcome = _state(spot)
        except ValueError:
            outcome = _state(spot, is_refused=True)
        yield "text for a shell", outcome, f"options of a workflow: {bad!r}"
        for what, refused in {
            "label of a study": lambda bad=bad, spot=spot: _study(spot, "subject", bad),
            "list of time constants": lambda bad=bad: workflow.read_list({"time_constants": [bad]}, "time_constants"),
        }.items():
            try:
                refused()
                outcome = "silent"
            except ValueError:
                outcome = _state(spot, is_refused=True)
            yield "text for a shell", outcome, f"{what}: {bad!r}"


def _study(place: Path, column: str, value: str) -> object:
    import csv

    from neuroling import workflow

    with (place / "study.csv").open("w", newline="") as file:
        csv.writer(file).writerows([[column], [value]])
    return workflow.read_study(place / "study.csv", labels=[column])


def _result(place: Path, text: str) -> Path:
    from neuroling import Result
    from neuroling.evaluation import Provenance

    score = xr.DataArray(np.array([[0.1, 0.2]]), dims=("split", "model"), coords={"model": [text, "other"]})
    Result.of(score, metric="pearson", provenance=Provenance(notes=(text,))).save(place / "result.nc")
    return place / "result.nc"


def _in_labels(place: Path) -> Iterator[tuple[str, str, str]]:
    """Plant markup in labels, notes and titles of a report."""
    from neuroling import Result
    from neuroling.report.study import write_report

    for number, bad in enumerate(MARKUP):
        spot = place / str(number)
        spot.mkdir()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            page = write_report(
                Result.load(_result(spot, bad)), spot / "out", title=bad, question=bad, model=bad, controls=["other"]
            )
        text = Path(page).read_text("utf-8")
        yield "markup in a report", "fired" if bad in text else "unchanged", repr(bad)


def _in_terminals(place: Path) -> Iterator[tuple[str, str, str]]:
    """Plant escape sequences in labels that are printed."""
    from typer.testing import CliRunner

    from neuroling.cli.app import build

    for number, bad in enumerate(ESCAPES):
        spot = place / str(number)
        spot.mkdir()
        path = _result(spot, bad)
        shown = "".join(
            CliRunner().invoke(build(), ["show", str(path), *options]).output
            for options in ([], ["--table"], ["--provenance"], ["--json"])
        )
        alive = [character for character in bad if ord(character) < 32 or character in "\x9b\u202e"]
        fired = any(character in shown for character in alive if character not in "\n")
        yield "escape sequence in a label", "fired" if fired else "unchanged", repr(bad)


def _in_pickles(place: Path) -> Iterator[tuple[str, str, str]]:
    """Plant objects that run code when they are unpickled."""
    from neuroling import Result
    from neuroling.features.storage.cache import content_key, remember
    from neuroling.features.storage.seal import open_sealed

    canary = place / "canary"
    objects = np.array([Planted(canary)], dtype=object)
    np.save(place / "recording.npy", objects, allow_pickle=True)
    (place / "data").mkdir()
    interruptions.for_encode(place / "data")
    done = _neuroling(
        place,
        "encode",
        "recording.npy",
        "-x",
        "data/features.nc",
        "--samples",
        "data/samples.csv",
        "-o",
        "out",
        "--device",
        "cpu",
    )
    yield "pickle", _state(place, done.returncode != 0), "recording.npy for encode"
    parts = {"model": "x"}
    np.savez(place / f"{content_key(parts)}.npz", values=objects, allow_pickle=True)
    place.chmod(0o700)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        remember(place, parts, lambda: np.zeros((2, 2), np.float32))
    yield "pickle", _state(place), "entry of the cache"
    for reader, name in ((Result.load, "result.nc"), (open_sealed, "features.nc")):
        (place / name).write_bytes(pickle.dumps(Planted(canary)))
        try:
            reader(place / name)
            outcome = "silent"
        except ValueError:
            outcome = _state(place, is_refused=True)
        yield "pickle", outcome, f"{name} for {reader.__name__}"


def _in_archives(place: Path) -> Iterator[tuple[str, str, str]]:
    """Plant members that would land outside, links, and a bomb."""
    from neuroling.data import archives
    from neuroling.data.errors import CorruptData

    inside = place / "inside"
    for name in ("../canary", str(place / "canary"), "..\\canary", "a/../../canary"):
        path = place / "set.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(name, "x")
        yield _unpacked(archives, CorruptData, path, inside, f"member {name!r} of a zip archive")
    for kind, target in ((tarfile.SYMTYPE, "../canary"), (tarfile.LNKTYPE, "/etc/hosts"), (tarfile.FIFOTYPE, "")):
        path = place / "set.tar"
        with tarfile.open(path, "w") as archive:
            member = tarfile.TarInfo("canary-link")
            member.type, member.linkname = kind, target
            archive.addfile(member)
        yield _unpacked(archives, CorruptData, path, inside, f"member of type {kind!r} of a tar archive")
    path = place / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("canary-bomb", bytes(150_000_000))
    yield _unpacked(archives, CorruptData, path, inside, "an archive that grows a thousandfold")


def _unpacked(archives, refusal, path: Path, inside: Path, what: str) -> tuple[str, str, str]:
    try:
        archives.unpack(path, inside)
        outcome = "silent"
    except refusal:
        left = [one for one in inside.rglob("*") if one.is_file()] if inside.exists() else []
        outcome = "fired" if left else _state(path.parent, is_refused=True)
    return "member of an archive", outcome, what


def _in_models(place: Path) -> Iterator[tuple[str, str, str]]:
    """Plant code and pickles in the folder of a model, and an index that points elsewhere."""
    from neuroling.features import load_encoder

    canary = place / "canary"
    for what in ("code of its own (auto_map)", "weights as a pickle", "an index that points outside"):
        model = place / what.split()[0]
        interruptions.tiny_model(model)
        if "auto_map" in what:
            config = json.loads((model / "config.json").read_text())
            config |= {
                "auto_map": {"AutoModel": "planted.Planted", "AutoConfig": "planted.Planted"},
                "model_type": "planted",
            }
            (model / "config.json").write_text(json.dumps(config))
            (model / "planted.py").write_text(f"open({str(canary)!r}, 'w').close()\n")
        elif "pickle" in what:
            (model / "model.safetensors").unlink()
            (model / "pytorch_model.bin").write_bytes(pickle.dumps(Planted(canary)))
        else:
            (model / "model.safetensors").rename(place / "elsewhere.safetensors")
            index = {"weight_map": {"embeddings.word_embeddings.weight": "../elsewhere.safetensors"}}
            (model / "model.safetensors.index.json").write_text(json.dumps(index))
        try:
            load_encoder(str(model), device="cpu")
            outcome = "silent"
        except (ValueError, OSError):
            outcome = _state(place, is_refused=True)
        yield "folder of a model", outcome, what
