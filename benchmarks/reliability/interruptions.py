"""Commands that are killed, or whose disk is full or cannot be written: nothing is torn, and going on ends the same.

Commands run as a user runs them, each in a process of its own. A killed one is started again in the same place, and
what it leaves has to be what an undisturbed run leaves, to the bit. Where a disk refuses, the command has to end with a
sentence and an exit status other than 0, and what stands at its output is either nothing or the whole result.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import damage
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
LONGEST = 300
"""Seconds after which a command that has not ended counts as hanging."""


class Command(NamedTuple):
    """A command: what it needs, its arguments, what it leaves, and how many times it is killed."""

    name: str
    prepare: Callable[[Path], None]
    arguments: Sequence[str]
    read: Callable[[Path], dict[str, Any]]
    outputs: Sequence[str]
    kills: int
    disks: int


WORDS = ["cat", "dog", "ship", "tree", "house", "bird", "river", "stone", "child", "letter"]
VERBS = ["saw", "heard", "liked", "found"]


def sentences(n: int) -> list[str]:
    """Sentences of few words, all different."""
    rng = np.random.default_rng(0)
    out = []
    for number in range(n):
        subject, verb, thing = (str(rng.choice(some)) for some in (WORDS, VERBS, WORDS))
        out.append(f"the {subject} {verb} the {thing} " + "and " * (number % 3) + f"the {WORDS[number % 10]}")
    return out


def tiny_model(folder: Path) -> None:
    """Save a BERT of two layers with random weights that knows these words."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    torch.manual_seed(0)
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = [*special, "the", "and", *WORDS, *VERBS]
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=len(words), max_position_embeddings=128, **sizes)).save_pretrained(folder)
    core = Tokenizer(models.WordPiece({word: i for i, word in enumerate(words)}, unk_token=special[1]))
    core.normalizer = normalizers.BertNormalizer(lowercase=True)
    core.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    core.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    names = {f"{name[1:-1].lower()}_token": name for name in special}
    PreTrainedTokenizerFast(tokenizer_object=core, model_max_length=128, **names).save_pretrained(folder)


# --- what each command needs and leaves -------------------------------------------------------------------------------


def for_extract(folder: Path) -> None:
    """Write stimuli and a model."""
    rows = "".join(f"s{number},{text}\n" for number, text in enumerate(sentences(3000)))
    (folder / "stimuli.csv").write_text("sample,text\n" + rows)
    tiny_model(folder / "tiny")


def features_of(folder: Path) -> dict[str, Any]:
    """Read the features."""
    return damage.read_features(folder / "out" / "features.nc")


def for_encode(folder: Path) -> None:
    """Write features, a recording and its table."""
    import xarray as xr

    rng = np.random.default_rng(0)
    x = rng.standard_normal((120, 8)).astype(np.float32)
    labels = [f"s{number}" for number in range(120)]
    xr.DataArray(x, dims=("sample", "feature"), coords={"sample": labels}, name="features").to_netcdf(
        folder / "features.nc", engine="h5netcdf"
    )
    np.save(folder / "recording.npy", (x @ rng.standard_normal((8, 60)) + rng.standard_normal((120, 60))).astype("f4"))
    (folder / "samples.csv").write_text(
        "sample,time_index\n" + "".join(f"{name},{i}\n" for i, name in enumerate(labels))
    )


def results_of(folder: Path) -> dict[str, Any]:
    """Read all results, tile by tile."""
    return {path.name: _result(path) for path in sorted((folder / "out").rglob("*.nc"))}


def _result(path: Path) -> dict[str, Any]:
    from neuroling import Result

    result = Result.load(path)
    with contextlib.suppress(ValueError):
        return {"table": result.to_dataframe().to_csv(), "p": damage.plain(result.p_values("none"))}
    return {"table": result.to_dataframe().to_csv()}


def for_pretrain(folder: Path) -> None:
    """Write a text."""
    lines = sentences(200)
    (folder / "text.txt").write_text("\n\n".join("\n".join(lines[i : i + 5]) for i in range(0, 200, 5)) + "\n")


def weights_of(folder: Path) -> dict[str, Any]:
    """Read the tensors of the last checkpoint; the order of the names in the files' headers is not fixed."""
    from safetensors.numpy import load_file

    from neuroling.lm.checkpoints import checkpoints

    last = max(checkpoints(folder / "out").items())
    return {"step": last[0], **{one.name: load_file(one) for one in sorted(last[1].rglob("*.safetensors"))}}


def for_report(folder: Path) -> None:
    """Write a result."""
    damage.write_result(folder)


def page_of(folder: Path) -> dict[str, Any]:
    """Read the page, less the moment at which it was written."""
    page = (folder / "out" / "report.html").read_text("utf-8")
    page = re.sub(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?(\+00:00|Z)?", "", page)
    return {"page": page, "bib": (folder / "out" / "references.bib").read_text("utf-8")}


def for_n400(_folder: Path) -> None:
    """Nothing is needed."""


def for_workflow(folder: Path) -> None:
    """Write the study of a workflow: two participants, two tiles each."""
    for_encode(folder)
    row = "{},m,0,features.nc,recording.npy,samples.csv\n"
    (folder / "study.csv").write_text(
        "subject,model,layer,features,targets,samples\n" + row.format("a") + row.format("b")
    )
    options = "--null block:10 --draws 30 --penalties 0:2:3 --device cpu"
    (folder / "config.json").write_text(
        json.dumps({"table": "study.csv", "out": "out", "tiles": 2, "threads": 1, "options": options})
    )


def workflow_of(folder: Path) -> dict[str, Any]:
    """Read the joined result of the workflow."""
    return {"result.nc": _result(folder / "out" / "result.nc"), "table": (folder / "out" / "table.csv").read_text()}


CPU = ("--device", "cpu")
COMMANDS = [
    Command(
        "extract",
        for_extract,
        (
            "extract",
            "stimuli.csv",
            "-o",
            "out/features.nc",
            "-m",
            "./tiny",
            "--no-progress",
            "--batch-tokens",
            "256",
            *CPU,
        ),
        features_of,
        ("out/features.nc",),
        24,
        12,
    ),
    Command(
        "encode",
        for_encode,
        (
            "encode",
            "recording.npy",
            "-o",
            "out",
            "-x",
            "features.nc",
            "--samples",
            "samples.csv",
            "--tiles",
            "6",
            "--null",
            "block:10",
            "--draws",
            "200",
            "--penalties",
            "0:2:3",
            *CPU,
        ),
        results_of,
        ("out",),
        30,
        12,
    ),
    Command(
        "pretrain",
        for_pretrain,
        (
            "pretrain",
            "text.txt",
            "-o",
            "out",
            "--vocabulary",
            "60",
            "--steps",
            "60",
            "--batch-size",
            "8",
            "--save-every",
            "6",
            "--max-length",
            "32",
            *CPU,
        ),
        weights_of,
        ("out",),
        30,
        12,
    ),
    Command(
        "n400",
        for_n400,
        ("n400", "-o", "out/n400.nc", "--participants", "2", "--epochs", "60", "--allow-unlearned", *CPU),
        results_of,
        ("out/n400.nc",),
        18,
        12,
    ),
    Command("report", for_report, ("report", "result.nc", "-o", "out"), page_of, ("out/report.html",), 18, 12),
    Command("workflow", for_workflow, (), workflow_of, ("out/result.nc",), 12, 0),
]


def _line(command: Command) -> list[str]:
    if command.name == "workflow":
        snakemake = os.environ.get("NEUROLING_SNAKEMAKE") or shutil.which("snakemake")
        assert snakemake, "the workflow needs snakemake on the path, or its place in NEUROLING_SNAKEMAKE"
        rules = ROOT / "analyses" / "workflows" / "encoding" / "Snakefile"
        return [
            snakemake,
            "-s",
            str(rules),
            "--cores",
            "2",
            "--configfile",
            "config.json",
            "--rerun-incomplete",
            "--quiet",
        ]
    return [str(Path(sys.executable).with_name("neuroling")), *command.arguments]


def _environment() -> dict[str, str]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "PATH": path, "COLUMNS": "200"}


def run(command: Command, folder: Path, kill_after: float | None = None) -> tuple[int, str, float]:
    """Run a command; gives its exit status, what it said, and the seconds that it took."""
    if command.name != "workflow":
        (folder / "out").mkdir(exist_ok=True)
    start = time.monotonic()
    process = subprocess.Popen(
        _line(command),
        cwd=folder,
        env=_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=kill_after or LONGEST)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        said, _ = process.communicate()
        return -9, said, time.monotonic() - start
    return process.returncode, said, time.monotonic() - start


def _undisturbed(command: Command, folder: Path) -> tuple[dict[str, Any], float]:
    place = folder / f"{command.name}-whole"
    place.mkdir(parents=True)
    command.prepare(place)
    status, said, seconds = run(command, place)
    assert status == 0, said
    whole = command.read(place)
    again = folder / f"{command.name}-again"
    again.mkdir()
    command.prepare(again)
    return whole, min(seconds, run(command, again)[2])


def kills(folder: Path, seed: int = 0, only: str = "", share: float = 1.0) -> Iterator[tuple[str, str, str]]:
    """Kill each command at moments spread over its run, and start it again; gives command, outcome and moment."""
    for command in COMMANDS:
        if only not in command.name:
            continue
        whole, seconds = _undisturbed(command, folder)
        rng = np.random.default_rng(seed)
        n = max(1, round(command.kills * share))
        for number, moment in enumerate((np.arange(n) + rng.random(n)) / n):
            place = folder / f"{command.name}-{number}"
            place.mkdir()
            command.prepare(place)
            after = float(0.2 + 0.85 * moment * seconds)  # the last part is the end of the process
            killed, said, _ = run(command, place, after)
            what = f"killed after {after:.2f} of {seconds:.2f} s"
            if command.name == "workflow":
                subprocess.run(
                    [*_line(command), "--unlock"],
                    cwd=place,
                    env=_environment(),
                    capture_output=True,
                    check=False,
                )
            yield command.name, *_after_the_kill(command, place, whole, killed, said, what)
            shutil.rmtree(place)


def _after_the_kill(
    command: Command, place: Path, whole: dict[str, Any], killed: int, said: str, what: str
) -> tuple[str, str]:
    if killed == 0:
        return ("had ended" if damage.same(command.read(place), whole) else "other result"), what
    if command.name in ("extract", "n400", "report", "workflow") and all(
        (place / name).exists() for name in command.outputs
    ):
        try:
            if not damage.same(command.read(place), whole):
                return "torn", what
        except Exception as error:
            return "torn", f"{what}: {error}"
    status, said, _ = run(command, place)
    if status != 0:
        return "did not go on", f"{what}: {said[-500:]}"
    return ("resumed" if damage.same(command.read(place), whole) else "other result"), what


# --- disks ------------------------------------------------------------------------------------------------------------


def disks(folder: Path, only: str = "", share: float = 1.0) -> Iterator[tuple[str, str, str]]:
    """Give each command a disk that is too small, or that cannot be written; needs to be root, to mount them."""
    for command in COMMANDS:
        if only not in command.name or not command.disks:
            continue
        whole, _ = _undisturbed(command, folder)
        size = sum(one.stat().st_size for one in (folder / f"{command.name}-whole" / "out").rglob("*") if one.is_file())
        n = max(2, round(command.disks * share))
        for number in range(n):
            place = folder / f"{command.name}-disk-{number}"
            (place / "out").mkdir(parents=True)
            command.prepare(place)
            is_read_only = number % 6 == 5
            room = 4096 * max(1, int((number + 0.5) / n * size / 4096))
            options = f"size={1 << 26},ro" if is_read_only else f"size={room}"
            subprocess.run(["/bin/mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place / "out")], check=True)
            what = "a disk that cannot be written" if is_read_only else f"{room} bytes of room for {size}"
            try:
                yield command.name, *_on_the_disk(command, place, whole, what)
            finally:
                subprocess.run(["/bin/umount", str(place / "out")], check=False)
                shutil.rmtree(place)


def _on_the_disk(command: Command, place: Path, whole: dict[str, Any], what: str) -> tuple[str, str]:
    status, said, _ = run(command, place)
    if status == 0:
        is_same = damage.same(command.read(place), whole)
        return ("unchanged" if is_same else "silent"), f"{what}: it fitted"
    if "Traceback" in said or not said.strip():
        return "bare error", f"{what}: {said[-500:]}"
    if all((place / name).is_file() for name in command.outputs):
        try:
            if not damage.same(command.read(place), whole):
                return "torn", what
        except Exception as error:
            return "torn", f"{what}: {error}"
    if not any(part in said for part in ("space", "room", "free", "disk", "read-only", "Read-only", "writ")):
        return "not named", f"{what}: {said[-500:]}"
    subprocess.run(["/bin/mount", "-o", f"remount,rw,size={1 << 26}", str(place / "out")], check=True)
    status, said, _ = run(command, place)
    if status != 0:
        return "did not go on", f"{what}: {said[-500:]}"
    return ("resumed" if damage.same(command.read(place), whole) else "other result"), what
