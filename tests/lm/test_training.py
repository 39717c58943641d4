"""One training loop: the same whatever it is dealt out to, resumed to the bit, stopped in time."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest
import torch

from neuroling.lm import schedules
from neuroling.lm.checkpoints import CheckpointError, checkpoints, latest_checkpoint
from neuroling.lm.distributed import Team
from neuroling.lm.seq2seq import NextSymbol
from neuroling.lm.training import Diverged, Recipe, rows_of_step, train

files = import_module("neuroling.lm.checkpoints")

RECIPE = Recipe(steps=12, batch_size=4, learning_rate=0.01, save_every=4)


def run(problem, recipe=RECIPE, **options):
    make, draw, n, objective = problem
    model = make()
    return model, train(model, draw, n, objective, recipe, device="cpu", **options)


def same(one, other):
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_a_seed_gives_the_same_curve_and_another_another(problem):
    first, again, other = (run(problem, replace(RECIPE, seed=seed))[1]["loss"] for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_loss_falls(problem):
    _, curves = run(problem, Recipe(steps=150, batch_size=10, learning_rate=0.02))
    assert curves["loss"][-10:].mean() < 0.3 * curves["loss"][:5].mean()


def test_global_random_numbers_are_left_alone(problem):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    run(problem)
    assert torch.equal(torch.rand(1), expected)


class StoppedError(RuntimeError):
    pass


def stop_after(step):
    def watch(number, model):
        if number == step:
            raise StoppedError

    return watch


@pytest.mark.parametrize("step", [4, 6, 11])
def test_an_interrupted_run_goes_on_to_the_very_bit(problem, tmp_path, step):
    whole, expected = run(problem)
    with pytest.raises(StoppedError):
        run(problem, folder=tmp_path, watch=stop_after(step))
    resumed, curves = run(problem, folder=tmp_path)
    assert same(whole, resumed)
    assert np.array_equal(curves["loss"], expected["loss"])


def test_a_finished_run_is_not_trained_again(problem, tmp_path):
    first, curves = run(problem, folder=tmp_path)
    second, again = run(problem, folder=tmp_path, watch=stop_after(1))
    assert same(first, second)
    assert np.array_equal(curves["loss"], again["loss"])


KILLED = """
    import sys, time
    from pathlib import Path
    import torch
    sys.path.insert(0, {tests!r})
    from conftest import Adder, Squares
    from neuroling.lm.training import Recipe, train
    x = torch.randn(20, 6, generator=torch.Generator().manual_seed(0))
    draw = lambda rows, rng: {{"x": x[torch.as_tensor(rows)], "y": x[torch.as_tensor(rows)].sum(1)}}
    torch.manual_seed(0)
    model = Adder()
    def watch(step, model):
        print(step, flush=True)
        if step == {stop}:
            time.sleep(60)
    recipe = Recipe(steps=12, batch_size=4, learning_rate=0.01, save_every=2)
    train(model, draw, 20, Squares(), recipe, folder=Path({out!r}), watch=watch, device="cpu")
    torch.set_printoptions(precision=20)
    print(torch.cat([one.flatten() for one in model.parameters()]).detach().numpy().tobytes().hex())
"""


def script(out, stop):
    return textwrap.dedent(KILLED).format(tests=os.path.dirname(__file__), out=str(out), stop=stop)  # noqa: PTH120


@pytest.mark.slow
def test_a_killed_process_leaves_a_run_that_goes_on_to_the_very_bit(tmp_path):
    def finish(out):
        done = subprocess.run([sys.executable, "-c", script(out, 0)], capture_output=True, text=True, check=True)
        return done.stdout.split()[-1]

    expected = finish(tmp_path / "whole")
    command = [sys.executable, "-c", script(tmp_path / "cut", 7)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as killed:  # closes the pipe
        assert any(line.strip() == "7" for line in killed.stdout)
        killed.send_signal(signal.SIGKILL)
    assert killed.returncode == -signal.SIGKILL
    assert latest_checkpoint(tmp_path / "cut").name == "step-00000006"
    assert finish(tmp_path / "cut") == expected


def test_parts_of_a_step_add_up_to_the_step(problem):
    make, draw, n, objective = problem
    models = []
    for parts in (1, 2, 4, 3):
        model = make().eval()
        model.layers[2].p = 0.0  # dropout differs between parts
        train(model, draw, n, objective, replace(RECIPE, accumulate=parts), device="cpu")
        models.append(torch.cat([one.detach().flatten() for one in model.parameters()]))
    for other in models[1:]:
        torch.testing.assert_close(models[0], other, atol=1e-5, rtol=1e-4)


def test_the_rows_of_a_step_are_dealt_out_once():
    batch = {"x": torch.arange(11)}
    shares = [Team(rank, 3).share(batch, part, 2)["x"] for rank in range(3) for part in range(2)]
    assert sorted(torch.cat(shares).tolist()) == list(range(11))


def test_every_example_is_read_once_a_pass_and_passes_differ():
    recipe = Recipe(steps=10, batch_size=4)
    rows = np.concatenate([rows_of_step(step, 10, recipe) for step in range(1, 6)])
    assert sorted(rows[:10]) == sorted(rows[10:]) == list(range(10))
    assert rows[:10].tolist() != rows[10:].tolist()


WORKER = """
    import sys
    from pathlib import Path
    import torch
    sys.path.insert(0, {tests!r})
    from conftest import Adder, Squares
    from neuroling.lm.training import Recipe, train
    x = torch.randn(20, 6, generator=torch.Generator().manual_seed(0))
    draw = lambda rows, rng: {{"x": x[torch.as_tensor(rows)], "y": x[torch.as_tensor(rows)].sum(1)}}
    torch.manual_seed(0)
    model = Adder()
    model.layers[2].p = 0.0
    recipe = Recipe(steps=12, batch_size=3, learning_rate=0.01, accumulate=2)
    curves = train(model, draw, 20, Squares(), recipe, folder=Path({out!r}), device="cpu")
"""


@pytest.mark.slow
def test_two_processes_train_what_one_trains(tmp_path):
    from safetensors.torch import load_file

    found = []
    for name, launch in (("one", [sys.executable]), ("two", [sys.executable, "-m", "torch.distributed.run", *TWO])):
        source = tmp_path / f"{name}.py"
        out = tmp_path / name
        source.write_text(textwrap.dedent(WORKER).format(tests=os.path.dirname(__file__), out=str(out)))  # noqa: PTH120
        done = subprocess.run([*launch, str(source)], capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stderr
        folder = latest_checkpoint(out)
        history = load_file(folder / files.OPTIMIZER)["history/loss"]
        found.append((load_file(folder / files.WEIGHTS), history))
    (one, curve), (two, curve_of_two) = found
    for name in one:
        torch.testing.assert_close(one[name], two[name], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(curve, curve_of_two, atol=1e-6, rtol=1e-5)


TWO = ["--standalone", "--nproc-per-node=2"]


class Poisoned:
    """Becomes NaN at a step."""

    def __init__(self, objective, step):
        self.objective, self.left = objective, step

    def counts(self, batch):
        self.left -= 1
        return self.objective.counts(batch)

    def sums(self, model, batch):
        sums = self.objective.sums(model, batch)
        return {"loss": sums["loss"] * float("nan")} if self.left == 0 else sums


def test_a_loss_that_is_no_number_stops_and_keeps_the_last_checkpoint(problem, tmp_path):
    make, draw, n, objective = problem
    model = make()
    with pytest.raises(Diverged, match=r"at step 7.*step-00000004"):
        train(model, draw, n, Poisoned(objective, 7), RECIPE, folder=tmp_path, device="cpu")
    assert list(checkpoints(tmp_path)) == [4]
    assert all(torch.isfinite(one).all() for one in model.parameters())


def test_a_checkpoint_of_another_configuration_is_refused_by_name(problem, tmp_path):
    run(problem, folder=tmp_path)
    with pytest.raises(CheckpointError, match=r"recipe.learning_rate 0.01 there, 0.02 here"):
        run(problem, replace(RECIPE, learning_rate=0.02), folder=tmp_path)


def test_a_damaged_checkpoint_is_named(problem, tmp_path):
    run(problem, folder=tmp_path)
    path = latest_checkpoint(tmp_path) / files.WEIGHTS
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"step-00000012.*not as it was written"):
        run(problem, folder=tmp_path)


def test_a_full_disk_is_named_and_earlier_checkpoints_stay(problem, tmp_path, monkeypatch):
    save = files.save_file

    def full(tensors, path):
        if "00000008" in str(path):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        save(tensors, path)

    monkeypatch.setattr(files, "save_file", full)
    with pytest.raises(OSError, match=r"step 8 could not be written.*No space left.*step-00000004 is kept"):
        run(problem, folder=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000004"]


@pytest.mark.slow
def test_a_real_limit_on_file_size_is_named(tmp_path):
    code = script(tmp_path / "run", 0)
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))  # noqa: E731
    done = subprocess.run(
        [sys.executable, "-B", "-c", code], capture_output=True, text=True, check=False, preexec_fn=limit
    )
    assert "could not be written" in done.stderr
    assert not list((tmp_path / "run").glob("*step*"))


def test_checkpoints_hold_no_pickle(problem, tmp_path):
    run(problem, folder=tmp_path)
    names = {path.suffix for path in latest_checkpoint(tmp_path).rglob("*") if path.is_file()}
    assert names == {".safetensors", ".json"}
    assert json.loads((latest_checkpoint(tmp_path) / files.STATE).read_text())["step"] == 12


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "steps: got 0"),
        ({"warmup_steps": 99}, "warmup_steps: got 99"),
        ({"precision": "half"}, "precision: got 'half'"),
        ({"learning_rate": -1.0}, "learning_rate: got -1"),
    ],
    ids=["steps", "warm-up", "precision", "rate"],
)
def test_impossible_recipes_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(RECIPE, **changes)


def test_bfloat16_trains_and_keeps_float32_weights(problem):
    model, curves = run(problem, replace(RECIPE, precision="bfloat16"))
    assert next(model.parameters()).dtype == torch.float32
    assert not np.array_equal(curves["loss"], run(problem)[1]["loss"])


# --- schedules and losses against torch's ------------------------------------------------------------------------


def rates(scheduler, optimizer, steps):
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def test_schedules_equal_those_of_torch():
    from torch.optim import SGD
    from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR

    warmup, total = 5, 20
    for ours, kind in (
        (schedules.linear, lambda o: LinearLR(o, 1.0, 1e-12, total + 1 - warmup)),
        (schedules.cosine, lambda o: CosineAnnealingLR(o, total + 1 - warmup)),
    ):
        optimizer = SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        rise = LinearLR(optimizer, 1 / warmup, 1.0, warmup - 1)
        theirs = rates(SequentialLR(optimizer, [rise, kind(optimizer)], [warmup - 1]), optimizer, total)
        mine = [ours(step, warmup, total) for step in range(1, total + 1)]
        np.testing.assert_allclose(mine, theirs, atol=1e-9)


def test_the_rate_of_vaswani_is_the_published_formula():
    width, warmup = 512, 4000
    for step in (1, 100, 4000, 16_000):
        published = width**-0.5 * min(step**-0.5, step * warmup**-1.5)
        assert (width * warmup) ** -0.5 * schedules.inverse_square_root(step, warmup, 0) == pytest.approx(published)


class Fixed(torch.nn.Module):
    def __init__(self, logits):
        super().__init__()
        self.logits = logits

    def forward(self, source, prefix):
        return self.logits


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_label_smoothing_is_the_cross_entropy_with_a_spread_target(smoothing):
    logits = torch.randn(2, 3, 7, generator=torch.Generator().manual_seed(1))
    batch = {"source": torch.ones(2, 3, dtype=torch.long), "target": torch.tensor([[3, 4, 2], [5, 2, 0]])}
    loss = NextSymbol(smoothing)
    found = float(loss.sums(Fixed(logits), batch)["loss"]) / loss.counts(batch)["loss"]
    spread = torch.nn.functional.one_hot(batch["target"], 7) * (1 - smoothing) + smoothing / 7
    each = -(spread * logits.log_softmax(2)).sum(2)[batch["target"] != 0]
    torch_own = torch.nn.CrossEntropyLoss(ignore_index=0, label_smoothing=smoothing)
    assert found == pytest.approx(float(each.mean()), abs=1e-6)
    assert found == pytest.approx(float(torch_own(logits.flatten(0, 1), batch["target"].flatten())), abs=1e-6)


def test_a_run_that_goes_on_under_other_conditions_says_so(problem, tmp_path, monkeypatch):
    run(problem, RECIPE, folder=tmp_path)
    monkeypatch.setattr(files, "rounding_conditions", lambda: {"processor": "another", "threads": "1"})
    with pytest.warns(UserWarning, match="other conditions .processor .* 'another' now"):
        run(problem, RECIPE, folder=tmp_path)
