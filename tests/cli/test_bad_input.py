"""Ten kinds of bad input to every command: one line that names the file or option as it is typed, and a status."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import xarray as xr

from neuroling.core.stimuli import Stimuli
from neuroling.features.extract import extract_text_features

from .conftest import result_of

pytestmark = pytest.mark.filterwarnings("ignore:stimuli", "ignore:text")

N_SAMPLES = 40
N_TARGETS = 6
PYTHON_SPELLING = re.compile(r"\b[a-z_]+=(True|False|None|'|\")|Traceback|Aborted|Errno|\bself\b|<class")
"""What only a programmer would read."""


@dataclass(frozen=True)
class Bad:
    """A call that cannot be done.

    Attributes
    ----------
    words : str
        The call. ``{name}`` stands for a file of the folder.
    names : str
        What the line has to name: a file, or an option or argument.
    status : int
        Exit status: 2 where the call itself is wrong, 1 where a file is.
    """

    words: str
    names: str
    status: int = 1


def features_of(n_samples: int, seed: int = 0) -> xr.DataArray:
    stimuli = Stimuli.from_texts([f"text {n}" for n in range(n_samples)])
    return stimuli.features(np.random.default_rng(seed).standard_normal((n_samples, 3)))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Good files and bad ones of every kind."""
    folder = tmp_path_factory.mktemp("files")
    rng = np.random.default_rng(0)
    (folder / "good.csv").write_text("sample,text\na,the cat saw\nb,a dog ran\n")
    (folder / "no-text.csv").write_text("sample,word\na,cat\n")
    (folder / "empty").write_bytes(b"")
    (folder / "empty.csv").write_bytes(b"")
    (folder / "header.csv").write_text("sample,text\n")
    (folder / "latin.csv").write_bytes("sample,text\na,caf\xe9\n".encode("latin-1"))
    (folder / "nan.csv").write_text("sample,text,onset\na,cat,nan\nb,dog,1\n")
    (folder / "ragged.csv").write_text("sample,text\na,the cat, the dog\n")
    (folder / "noise").write_bytes(rng.bytes(3000))
    for name in ("noise.nc", "noise.npy", "noise.nii.gz", "noise.csv", "noise.txt"):
        (folder / name).write_bytes(rng.bytes(3000))
    (folder / "folder").mkdir()
    (folder / "folder.nc").mkdir()
    (folder / "text.txt").write_text("The cat saw a dog.\nA dog ran.\n\nThe ship left.\nIt was late.\n" * 6)
    (folder / "blank.txt").write_text("\n\n")
    (folder / "control.txt").write_text("The cat\x07 saw.\nA dog ran.\n")
    samples = "sample\n" + "".join(f"text {n}\n" for n in range(N_SAMPLES))
    (folder / "samples.csv").write_text(samples)
    (folder / "few.csv").write_text("sample\ntext 0\ntext 1\n")
    features = features_of(N_SAMPLES)
    features.to_netcdf(folder / "features.nc", engine="h5netcdf")
    features.where(features > -1).to_netcdf(folder / "nan.nc", engine="h5netcdf")
    layered = features.expand_dims(layer=[0, 6]).transpose("sample", "layer", "feature")
    layered.to_netcdf(folder / "layered.nc", engine="h5netcdf")
    whole = (folder / "features.nc").read_bytes()
    (folder / "cut.nc").write_bytes(whole[: len(whole) // 2])
    targets = features.values @ rng.standard_normal((3, N_TARGETS)) + rng.standard_normal((N_SAMPLES, N_TARGETS))
    np.save(folder / "targets.npy", targets)
    cut = (folder / "targets.npy").read_bytes()
    (folder / "cut.npy").write_bytes(cut[: len(cut) // 2])
    targets[3, 2] = np.nan
    np.save(folder / "nan.npy", targets)
    np.save(folder / "text.npy", np.array([["a", "b"]] * N_SAMPLES))
    image = nib.Nifti1Image(rng.standard_normal((2, 2, 2, N_SAMPLES)).astype(np.float32), np.eye(4))
    nib.save(image, folder / "bold.nii.gz")
    cut = (folder / "bold.nii.gz").read_bytes()
    (folder / "cut.nii.gz").write_bytes(cut[: len(cut) // 2])
    nib.save(nib.Nifti1Image(np.ones((2, 2, 2), np.uint8), np.eye(4)), folder / "mask.nii.gz")
    nib.save(nib.Nifti1Image(np.ones((3, 3, 3), np.uint8), np.eye(4)), folder / "other-mask.nii.gz")
    recording = xr.DataArray(
        rng.standard_normal((N_SAMPLES, 4, 5)),
        dims=("sample", "channel", "time"),
        coords={"sample": features.sample.values, "channel": list("abcd"), "time": np.arange(5) / 100},
    )
    recording.to_netcdf(folder / "recording.nc", engine="h5netcdf")
    recording.where(recording > -2).to_netcdf(folder / "recording-nan.nc", engine="h5netcdf")
    result_of([0.1, 0.2, 0.3]).save(folder / "result.nc")
    result_of([0.1, 0.2, 0.3, 0.4]).save(folder / "longer.nc")
    result_of([0.1, 0.2, 0.3], metric="spearman").save(folder / "other.nc")
    whole = (folder / "result.nc").read_bytes()
    (folder / "cut-result.nc").write_bytes(whole[: len(whole) // 2])
    damaged = bytearray(whole)
    damaged[len(damaged) // 2] ^= 1
    (folder / "flipped.nc").write_bytes(damaged)
    (folder / "cache").mkdir()
    (folder / "sst.tsv").write_text("sentence\tlabel\nbad film\t0\ngood film\t1\nfine\t1\n")
    (folder / "sst-cut.tsv").write_text("sentence\tlabel\nbad film\n")
    (folder / "squad.json").write_text('{"data": [')
    return folder


@pytest.fixture(scope="module")
def shards(files: Path) -> Path:
    """A features file as ``extract`` writes it, with a seal."""
    path = files / "shard.nc"
    if not path.exists():
        stimuli = Stimuli.from_texts(["the cat", "a dog ran"])
        extract_text_features(stimuli, "minilm", layers=[0], device="cpu", out=path).close()
    return path


ENCODE = "encode {targets.npy} -x {features.nc} --samples {samples.csv} -o {new}/out"
FINETUNE = "finetune sst-2 --train {sst.tsv} --test {sst.tsv} -o {new}/out"

CATALOGUE = [
    # --- extract
    Bad("extract {absent.csv} -o {new}/f.nc", "absent.csv"),
    Bad("extract {folder} -o {new}/f.nc", "folder"),
    Bad("extract {empty.csv} -o {new}/f.nc", "empty.csv"),
    Bad("extract {header.csv} -o {new}/f.nc", "header.csv"),
    Bad("extract {no-text.csv} -o {new}/f.nc", "no-text.csv"),
    Bad("extract {latin.csv} -o {new}/f.nc", "latin.csv"),
    Bad("extract {nan.csv} -o {new}/f.nc", "nan.csv"),
    Bad("extract {ragged.csv} -o {new}/f.nc", "ragged.csv"),
    Bad("extract {noise.nc} -o {new}/f.nc", "noise.nc"),
    Bad("extract {good.csv} -o {folder.nc}", "folder.nc"),
    Bad("extract {good.csv} -o {result.nc}", "result.nc"),
    Bad("extract {good.csv} -o {empty}/f.nc", "empty"),
    Bad("extract {good.csv}", "--out", 2),
    Bad("extract {good.csv} -o {new}/f.nc --pool maen", "--pool", 2),
    Bad("extract {good.csv} -o {new}/f.nc --unit sentense", "--unit", 2),
    Bad("extract {good.csv} -o {new}/f.nc --unit word --context rolling", "--context", 2),
    Bad("extract {good.csv} -o {new}/f.nc --unit split --segment japanes", "--segment", 2),
    Bad("extract {good.csv} -o {new}/f.nc --layer 99", "--layer"),
    Bad("extract {good.csv} -o {new}/f.nc --layer two", "--layer", 2),
    Bad("extract {good.csv} -o {new}/f.nc --layer 1 --layer 1", "--layer"),
    Bad("extract {good.csv} -o {new}/f.nc --shard 3/2", "--shard", 2),
    Bad("extract {good.csv} -o {new}/f.nc --shard 1/9", "--shard"),
    Bad("extract {good.csv} -o {new}/f.nc --dtype float31", "--dtype", 2),
    Bad("extract {good.csv} -o {new}/f.nc --device cdua", "--device", 2),
    Bad("extract {good.csv} -o {new}/f.nc --device cpu,cdua", "--device", 2),
    Bad("extract {good.csv} -o {new}/f.nc --model {absent}", "--model"),
    Bad("extract {good.csv} -o {new}/f.nc --model {folder}", "folder"),
    Bad("extract {good.csv} -o {new}/f.nc --long cut", "--long", 2),
    Bad("extract {good.csv} -o {new}/f.nc --long truncate --unit split", "--long"),
    Bad("extract {good.csv} -o {new}/f.nc --missing nan", "--missing", 2),
    Bad("extract {good.csv} -o {new}/f.nc --unit split --shared all", "--shared", 2),
    Bad("extract {good.csv} -o {new}/f.nc --context whole", "--context"),
    Bad("extract {good.csv} -o {new}/f.nc --batch-tokens 0", "--batch-tokens", 2),
    Bad("extract {good.csv} -o {new}/f.nc --untrained -1", "--untrained", 2),
    Bad("extract {good.csv} -o {new}/f.nc --modle minilm", "--model", 2),
    Bad("extract {good.csv} --cache {empty}", "empty"),
    # --- encode
    Bad(ENCODE.replace("targets.npy", "absent.npy"), "absent.npy"),
    Bad(ENCODE.replace("targets.npy", "folder"), "TARGETS", 2),
    Bad(ENCODE.replace("targets.npy", "cut.npy"), "cut.npy"),
    Bad(ENCODE.replace("targets.npy", "noise.npy"), "noise.npy"),
    Bad(ENCODE.replace("targets.npy", "nan.npy"), "--unusable"),
    Bad(ENCODE.replace("targets.npy", "text.npy"), "text.npy"),
    Bad(ENCODE.replace("targets.npy", "empty"), "TARGETS", 2),
    Bad(ENCODE.replace("features.nc", "absent.nc"), "absent.nc"),
    Bad(ENCODE.replace("features.nc", "folder.nc"), "folder.nc"),
    Bad(ENCODE.replace("features.nc", "cut.nc"), "cut.nc"),
    Bad(ENCODE.replace("features.nc", "noise.nc"), "noise.nc"),
    Bad(ENCODE.replace("features.nc", "empty"), "empty"),
    Bad(ENCODE.replace("features.nc", "result.nc"), "result.nc"),
    Bad(ENCODE.replace("features.nc", "nan.nc"), "features"),
    Bad(ENCODE.replace("features.nc", "layered.nc"), "--layer", 2),
    Bad(ENCODE.replace("features.nc", "layered.nc") + " --layer 7", "--layer", 2),
    Bad(ENCODE.replace("samples.csv", "absent.csv"), "absent.csv"),
    Bad(ENCODE.replace("samples.csv", "few.csv"), "few.csv"),
    Bad(ENCODE.replace("samples.csv", "no-text.csv"), "no-text.csv"),
    Bad(ENCODE.replace("samples.csv", "noise.csv"), "noise.csv"),
    Bad(ENCODE.replace("samples.csv", "empty.csv"), "empty.csv"),
    Bad(ENCODE.replace("{new}/out", "{empty}"), "empty"),
    Bad(ENCODE + " --null shfit", "--null", 2),
    Bad(ENCODE + " --folds many", "--folds", 2),
    Bad(ENCODE + " --folds 1", "--folds"),
    Bad(ENCODE + " --folds 400", "--folds"),
    Bad(ENCODE + " --folds group", "--folds"),
    Bad(ENCODE + " --gap -1", "--gap", 2),
    Bad(ENCODE + " --penalties 1:2", "--penalties", 2),
    Bad(ENCODE + " --penalties 1:2:0", "--penalties"),
    Bad(ENCODE + " --penalties nan:2:3", "--penalties"),
    Bad(ENCODE + " --tile 3/2", "--tile", 2),
    Bad(ENCODE + " --tile 1/90", "--tile", 2),
    Bad(ENCODE + " --tile one", "--tile", 2),
    Bad(ENCODE + " --tiles 0", "--tiles", 2),
    Bad(ENCODE + " --null shift --draws 0", "--draws", 2),
    Bad(ENCODE + " --unusable skip", "--unusable", 2),
    Bad(ENCODE + " --memory-gb 0", "--memory-gb"),
    Bad(ENCODE + " --memory-gb nan", "--memory-gb", 2),
    Bad(ENCODE + " --device cdua", "--device", 2),
    Bad(ENCODE + " --unit subject", "--unit", 2),
    Bad(ENCODE.replace("targets.npy", "bold.nii.gz"), "--mask", 2),
    Bad(ENCODE.replace("targets.npy", "cut.nii.gz") + " --mask {mask.nii.gz}", "cut.nii.gz"),
    Bad(ENCODE.replace("targets.npy", "noise.nii.gz") + " --mask {mask.nii.gz}", "noise.nii.gz"),
    Bad(ENCODE.replace("targets.npy", "bold.nii.gz") + " --mask {other-mask.nii.gz}", "other-mask.nii.gz"),
    Bad(ENCODE.replace("targets.npy", "bold.nii.gz") + " --mask {noise.nii.gz}", "noise.nii.gz"),
    Bad(ENCODE.replace("targets.npy", "bold.nii.gz") + " --mask {absent.nii.gz}", "absent.nii.gz"),
    # --- pretrain
    Bad("pretrain {absent.txt} -o {new}/run", "absent.txt"),
    Bad("pretrain {folder} -o {new}/run", "folder"),
    Bad("pretrain {empty} -o {new}/run", "empty"),
    Bad("pretrain {blank.txt} -o {new}/run", "blank.txt"),
    Bad("pretrain {latin.csv} -o {new}/run", "latin.csv"),
    Bad("pretrain {control.txt} -o {new}/run", "control.txt"),
    Bad("pretrain {noise.txt} -o {new}/run", "noise.txt"),
    Bad("pretrain {text.txt} -o {empty}", "empty"),
    Bad("pretrain {text.txt} -o {new}/run --vocabulary 60 --steps 2 --size tny", "--size", 2),
    Bad("pretrain {text.txt} -o {new}/run --vocabulary 60 --steps 2 --long cut", "--long", 2),
    Bad("pretrain {text.txt} -o {new}/run --vocabulary 60 --steps 2 --precision float31", "--precision", 2),
    Bad("pretrain {text.txt} -o {new}/run --vocabulary 60 --steps 2 --ratio 2", "--ratio"),
    Bad("pretrain {text.txt} -o {new}/run --vocabulary 60 --steps 2 --ratio nan", "--ratio", 2),
    Bad("pretrain {text.txt} -o {new}/run --steps 0", "--steps", 2),
    Bad("pretrain {text.txt} -o {new}/run --vocabulary 60 --steps 2 --batch-size 0", "--batch-size", 2),
    Bad("pretrain {text.txt} -o {new}/run --vocabulary 60 --steps 2 --learning-rate nan", "--learning-rate", 2),
    Bad("pretrain {text.txt} -o {new}/run --vocabulary 60 --steps 2 --learning-rate -1", "--learning-rate"),
    Bad("pretrain {text.txt} -o {new}/run --vocabulary 60 --steps 2 --accumulate 0", "--accumulate", 2),
    Bad("pretrain {text.txt} -o {new}/run --vocabulary 60 --steps 2 --save-every -1", "--save-every", 2),
    Bad("pretrain {text.txt} -o {new}/run --vocabulary 3", "--vocabulary"),
    Bad("pretrain {text.txt} -o {new}/run --vocabulary 60 --steps 2 --max-length 4", "--max-length"),
    Bad("pretrain {text.txt} -o {new}/run --vocabulary 60 --steps 2 --device cdua", "--device", 2),
    Bad("pretrain {text.txt} -o {new}/run --vocabulary 60 --steps 2 --seed -1", "--seed", 2),
    # --- finetune
    Bad(FINETUNE.replace("sst-2", "sst-3"), "LAYOUT", 2),
    Bad(FINETUNE.replace("--train {sst.tsv}", "--train {absent.tsv}"), "absent.tsv"),
    Bad(FINETUNE.replace("--train {sst.tsv}", "--train {folder}"), "folder"),
    Bad(FINETUNE.replace("--train {sst.tsv}", "--train {empty}"), "empty"),
    Bad(FINETUNE.replace("--train {sst.tsv}", "--train {noise}"), "noise"),
    Bad(FINETUNE.replace("--train {sst.tsv}", "--train {sst-cut.tsv}"), "sst-cut.tsv"),
    Bad(FINETUNE.replace("sst-2", "squad").replace("--train {sst.tsv}", "--train {squad.json}"), "squad.json"),
    Bad(FINETUNE.replace("sst-2", "jsts"), "sst.tsv"),
    Bad(FINETUNE.replace("sst-2", "conllu"), "sst.tsv"),
    Bad(FINETUNE.replace("--test {sst.tsv}", "--test {absent.tsv}"), "absent.tsv"),
    Bad(FINETUNE, "--overlap"),
    Bad(FINETUNE + " --overlap 9 --model {absent}", "--model"),
    Bad(FINETUNE + " --overlap 9 --model {folder}", "folder"),
    Bad(FINETUNE + " --overlap 9 --epochs nan", "--epochs", 2),
    Bad(FINETUNE + " --overlap 9 --epochs -1", "--epochs", 2),
    Bad(FINETUNE + " --overlap 9 --batch-size 0", "--batch-size", 2),
    Bad(FINETUNE + " --overlap 9 --first 0", "--first", 2),
    Bad(FINETUNE + " --long windows", "--long", 2),
    Bad(FINETUNE + " --siamese", "--siamese", 2),
    Bad(FINETUNE + " --overlap 9 --precision float31", "--precision", 2),
    Bad(FINETUNE + " --overlap 9 --max-length 2", "--max-length"),
    # --- show, compare, check, gather
    Bad("show {absent.nc}", "absent.nc"),
    Bad("show {folder.nc}", "folder.nc"),
    Bad("show {empty}", "empty"),
    Bad("show {noise.nc}", "noise.nc"),
    Bad("show {cut-result.nc}", "cut-result.nc"),
    Bad("show {flipped.nc}", "flipped.nc"),
    Bad("show {features.nc}", "features.nc"),
    Bad("show {good.csv}", "good.csv"),
    Bad("show {result.nc} --tabel", "--table", 2),
    Bad("show", "RESULT.nc", 2),
    Bad("compare {result.nc} {absent.nc}", "absent.nc"),
    Bad("compare {absent.nc} {result.nc}", "absent.nc"),
    Bad("compare {result.nc} {folder.nc}", "folder.nc"),
    Bad("compare {result.nc} {empty}", "empty"),
    Bad("compare {result.nc} {noise.nc}", "noise.nc"),
    Bad("compare {result.nc} {cut-result.nc}", "cut-result.nc"),
    Bad("compare {result.nc} {other.nc}", "metric"),
    Bad("compare {result.nc} {longer.nc}", "subject"),
    Bad("compare {result.nc}", "B.nc", 2),
    Bad("compare {result.nc} {features.nc}", "features.nc"),
    Bad("check {absent.nc}", "absent.nc"),
    Bad("check {folder.nc}", "folder.nc"),
    Bad("check {empty}", "empty"),
    Bad("check {noise.nc}", "noise.nc"),
    Bad("check {cut-result.nc}", "cut-result.nc"),
    Bad("check {flipped.nc}", "flipped.nc"),
    Bad("check {features.nc}", "features.nc"),
    Bad("check", "RESULT.nc", 2),
    Bad("check --sweep {absent}", "absent"),
    Bad("check --sweep {empty}", "empty"),
    Bad("check --sweep {folder} --older-than nan", "--older-than", 2),
    Bad("gather {absent.nc} -o {new}/all.nc", "absent.nc"),
    Bad("gather {folder.nc} -o {new}/all.nc", "folder.nc"),
    Bad("gather {empty} -o {new}/all.nc", "empty"),
    Bad("gather {noise.nc} -o {new}/all.nc", "noise.nc"),
    Bad("gather {cut-result.nc} -o {new}/all.nc", "cut-result.nc"),
    Bad("gather {result.nc} {result.nc} -o {new}/all.nc", "result.nc"),
    Bad("gather {result.nc} {longer.nc} -o {new}/all.nc", "result.nc"),
    Bad("gather {result.nc} -o {folder.nc}", "folder.nc"),
    Bad("gather {result.nc} -o {empty}/all.nc", "empty"),
    Bad("gather {result.nc}", "--out", 2),
    # --- join
    Bad("join {absent.nc} -o {new}/all.nc", "absent.nc"),
    Bad("join {folder.nc} -o {new}/all.nc", "folder.nc"),
    Bad("join {empty} -o {new}/all.nc", "empty"),
    Bad("join {noise.nc} -o {new}/all.nc", "noise.nc"),
    Bad("join {cut.nc} -o {new}/all.nc", "cut.nc"),
    Bad("join {result.nc} -o {new}/all.nc", "result.nc"),
    Bad("join {shard.nc} {shard.nc} -o {new}/all.nc", "shard"),
    Bad("join {shard.nc} -o {folder.nc}", "folder.nc"),
    Bad("join {shard.nc} -o {empty}/all.nc", "empty"),
    Bad("join {shard.nc}", "--out", 2),
    # --- rsa
    Bad("rsa {absent.nc} {recording.nc} -o {new}.nc", "absent.nc"),
    Bad("rsa {features.nc} {absent.nc} -o {new}.nc", "absent.nc"),
    Bad("rsa {folder.nc} {recording.nc} -o {new}.nc", "folder.nc"),
    Bad("rsa {features.nc} {noise.nc} -o {new}.nc", "noise.nc"),
    Bad("rsa {cut.nc} {recording.nc} -o {new}.nc", "cut.nc"),
    Bad("rsa {empty} {recording.nc} -o {new}.nc", "empty"),
    Bad("rsa {result.nc} {recording.nc} -o {new}.nc", "result.nc"),
    Bad("rsa {features.nc} {features.nc} -o {new}.nc", "features.nc", 2),
    Bad("rsa {features.nc} {recording.nc} -o {empty}/new.nc", "empty"),
    Bad("rsa {features.nc} {recording.nc} -o {features.nc}", "features.nc"),
    Bad("rsa {features.nc} {recording.nc} -o {new}.nc --distance cosin", "--distance", 2),
    Bad("rsa {features.nc} {recording.nc} -o {new}.nc --model-distance cosin", "--model-distance", 2),
    Bad("rsa {features.nc} {recording.nc} -o {new}.nc --comparator spearmen", "--comparator", 2),
    Bad("rsa {features.nc} {recording.nc} -o {new}.nc --over chanel", "--over", 2),
    Bad("rsa {features.nc} {recording.nc} -o {new}.nc --window 0", "--window", 2),
    Bad("rsa {features.nc} {recording.nc} -o {new}.nc --window 50", "--window"),
    Bad("rsa {features.nc} {recording.nc} -o {new}.nc --layer 6", "--layer", 2),
    Bad("rsa {features.nc} {recording.nc} -o {new}.nc --subject s1", "--subject", 2),
    Bad("rsa {features.nc} {recording.nc} -o {new}.nc --unit model", "--unit", 2),
    # --- n400
    Bad("n400 -o {new}.nc --participants 0", "--participants", 2),
    Bad("n400 -o {new}.nc --participants two", "--participants", 2),
    Bad("n400 -o {new}.nc --letters one-hto", "--letters", 2),
    Bad("n400 -o {new}.nc --epochs 0", "--epochs", 2),
    Bad("n400 -o {new}.nc --seed -1", "--seed", 2),
    Bad("n400 -o {new}.nc --device cdua", "--device", 2),
    Bad("n400 -o {empty}/new.nc", "empty"),
    Bad("n400 -o {features.nc}", "features.nc"),
    Bad("n400 -o {folder.nc}", "folder.nc"),
    Bad("n400 -o {new}.nc --participants 1 --epochs 1", "--allow-unlearned"),
    Bad("n400 -o {new}.nc --participants 1 --epochs 1 --allow-unlearned --time-constant nan", "--time-constant", 2),
    Bad("n400 -o {new}.nc --participants 1 --epochs 1 --allow-unlearned --time-constant -1", "--time-constant"),
    Bad("n400 -o {new}.nc --participants 1 --epochs 1 --allow-unlearned --lag -1", "--lag", 2),
    Bad("n400 -o {new}.nc --participants 1 --epochs 1 --allow-unlearned --lag 9999", "--lag"),
    # --- cache
    Bad("cache list {absent}", "absent"),
    Bad("cache list {good.csv}", "good.csv"),
    Bad("cache list", "FOLDER", 2),
    Bad("cache lsit {cache}", "list", 2),
    Bad("cache verify {absent}", "absent"),
    Bad("cache verify {good.csv}", "good.csv"),
    Bad("cache prune {absent} --damaged", "absent"),
    Bad("cache prune {good.csv} --damaged", "good.csv"),
    Bad("cache prune {cache}", "--older-than", 2),
    Bad("cache prune {cache} --older-than nan", "--older-than", 2),
    Bad("cache prune {cache} --older-than -1", "--older-than", 2),
    Bad("cache prune {cache} --larger-than nan", "--larger-than", 2),
    Bad("cache prune {cache} --larger-than -1", "--larger-than", 2),
    # --- datasets, doctor, run
    Bad("datasets show mitchel2008", "mitchell2008", 2),
    Bad("datasets show ''", "NAME", 2),
    Bad("datasets show ../secret", "NAME", 2),
    Bad("datasets fetch mitchel2008", "mitchell2008", 2),
    Bad("datasets verify mitchel2008", "mitchell2008", 2),
    Bad("datasets sohw mitchell2008", "show", 2),
    Bad("datasets show", "NAME", 2),
    Bad("datasets list --jsno", "--json", 2),
    Bad("doctor --jsno", "--json", 2),
    Bad("doctor now", "now", 2),
    Bad("run neurosynht", "neurosynth", 2),
    Bad("run neurosynth --sed 1", "--seed", 2),
    Bad("run neurosynth --seed one", "--seed", 2),
    Bad("run {absent.py}", "NAME", 2),
    Bad("run {empty}", "NAME", 2),
    Bad("run neurosynth --seed -1", "--seed", 2),
    Bad("new", "KIND", 2),
    Bad("new story-fmir mine", "story-fmri", 2),
    Bad("new story-fmri", "NAME", 2),
    Bad("new story-fmri ../mine", "NAME", 2),
    Bad("new story-fmri 1mine", "NAME", 2),
    Bad("tour --sed 1", "--seed", 2),
    Bad("shwo {result.nc}", "show", 2),
    Bad("--quite show {result.nc}", "--quiet", 2),
]


@contextmanager
def at_most(seconds: int) -> Iterator[None]:
    """Fail where a call works on instead of refusing."""

    def stop(*_: object) -> None:
        raise AssertionError(f"still at work after {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def spelled(bad: Bad, files: Path, new: Path) -> list[str]:
    def place(match: re.Match[str]) -> str:
        return str(new if match[1] == "new" else files / match[1])

    return [re.sub(r"\{([^}]+)\}", place, word).strip("'") for word in bad.words.split(" ")]


@pytest.fixture
def there(files: Path, tmp_path: Path) -> Iterator[Path]:
    """The folder of files, none of which may change."""

    def stamps() -> dict[str, tuple[int, int]]:
        return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in files.rglob("*")}

    before = stamps()
    yield files
    changed = {path for path, stamp in stamps().items() if before.get(path) != stamp}
    assert not {path for path in changed if "shard.nc" not in path and not Path(path).is_dir()}


@pytest.mark.parametrize("bad", CATALOGUE, ids=lambda bad: bad.words)
def test_a_bad_call_is_answered_in_the_words_of_the_command_line(
    call: Callable[..., object], bad: Bad, there: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if "shard.nc" in bad.words:
        request.getfixturevalue("shards")
    with at_most(30):
        answer = call("--quiet", *spelled(bad, there, tmp_path / "new"))
    if isinstance(answer.exception, Exception) and not isinstance(answer.exception, SystemExit):
        raise answer.exception
    output = answer.stderr + (answer.stdout if bad.words.startswith("check") else "")
    assert answer.exit_code == bad.status, output
    assert bad.names in output
    assert not PYTHON_SPELLING.search(output), output
    if bad.status == 1 and not bad.words.startswith("check"):
        lines = [
            line for line in answer.stderr.splitlines() if line and "warning:" not in line and "?block" not in line
        ]
        assert len(lines) == 1, output
        assert lines[0].startswith("neuroling: ")
    assert not [path for path in (tmp_path / "new").rglob("*") if path.is_file() and path.stat().st_size > 0]
