"""A writer that is killed leaves nothing half-written, and the next one ends with the very same file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from neuroling.core.stimuli import Stimuli
from neuroling.features.extract import extract_text_features
from neuroling.features.storage.files import open_layers
from neuroling.features.transformer.encoder import Encoder

WRITER = """
import sys, time
import neuroling.features.storage.files as storage
import neuroling.features.extract as module
from neuroling.core.stimuli import Stimuli
from neuroling.features.transformer.encoder import load_encoder

folder, out = sys.argv[1:]
write, embed = storage.write_layers, module.embed
module.write_layers = lambda *args, **kwargs: write(*args, **{**kwargs, "block_bytes": 3000})

def slow(*args, **kwargs):
    time.sleep(0.03)
    return embed(*args, **kwargs)

module.embed = slow
stimuli = Stimuli.from_texts(["the cat saw a dog", "a ship", "the dog saw"] * 40, labels=range(120), group=range(120))
module.extract_text_features(stimuli, load_encoder(folder, device="cpu"), out=out)
"""

STIMULI = Stimuli.from_texts(["the cat saw a dog", "a ship", "the dog saw"] * 40, labels=range(120), group=range(120))


def start(folder: Path, out: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", WRITER, str(folder), str(out)])


def wait_for_blocks(notes: Path, n: int) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if notes.exists() and notes.read_bytes().count(b"\n") >= n:
            return
        time.sleep(0.005)
    raise AssertionError("the writer never got so far")


@pytest.mark.slow
@pytest.mark.parametrize("n_blocks", [1, 3])
def test_a_killed_writer_is_followed_by_one_that_ends_with_the_same_bits(
    tiny_folder: Path, tiny: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_blocks: int
) -> None:
    out = tmp_path / "features.nc"
    writer = start(tiny_folder, out)
    wait_for_blocks(tmp_path / "features.nc.partial.blocks", n_blocks)
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait()
    assert not out.exists()
    assert start(tiny_folder, out).wait() == 0
    assert [path.name for path in tmp_path.iterdir()] == ["features.nc"]
    undisturbed = tmp_path / "undisturbed.nc"
    assert start(tiny_folder, undisturbed).wait() == 0
    with open_layers(out) as found, open_layers(undisturbed) as expected:
        np.testing.assert_array_equal(found.values, expected.values)
        np.testing.assert_allclose(found.values, extract_text_features(STIMULI, tiny).values, atol=1e-5)
