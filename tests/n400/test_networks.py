"""Networks as files: what comes back is what went in, keys tell everything apart, and bad files are refused."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from neuroling.n400 import networks as module
from neuroling.n400.alpha import Alpha
from neuroling.n400.experiments import repetition
from neuroling.n400.network import Network
from neuroling.n400.networks import load_network, save_network, trained_network
from neuroling.n400.participants import train_networks
from neuroling.n400.regime import Training
from neuroling.n400.simulate import simulate


@pytest.fixture
def path(network, tmp_path):
    save_network(network, tmp_path / "network.safetensors", seed=[1])
    return tmp_path / "network.safetensors"


def test_network_survives_a_file(network, path):
    again = load_network(path)
    assert (again.architecture, again.training) == (network.architecture, network.training)
    assert again.lexicon.table.equals(network.lexicon.table)
    np.testing.assert_array_equal(again.lexicon.semantics, network.lexicon.semantics)
    np.testing.assert_array_equal(again.loss, network.loss)
    trials = repetition(network.lexicon, rng=0)
    one, other = (
        simulate(each, trials, alpha=Alpha(6), allow_unlearned=True, device="cpu") for each in (network, again)
    )
    np.testing.assert_array_equal(one, other)


def test_training_with_an_alpha_function_survives_a_file(network, tmp_path):
    training = replace(Training(), alpha=Alpha(7, layers=("semantics",)), alpha_share=0.2)
    save_network(Network(network.lexicon, network.architecture, network.weights, training), tmp_path / "a.safetensors")
    assert load_network(tmp_path / "a.safetensors").training == training


def test_shipped_networks_are_small_and_of_different_lexicons():
    networks = [trained_network(number) for number in range(3)]
    assert len({tuple(network.lexicon.items) for network in networks}) == 3
    assert sum(path.stat().st_size for path in module.SHIPPED.glob("*.safetensors")) < 700_000


def test_network_that_does_not_ship_is_refused():
    with pytest.raises(ValueError, match="got 3; expected 0 to 2"):
        trained_network(3)


def test_trained_once_is_read_the_second_time(tmp_path, monkeypatch):
    options = {"lexicons": 1, "participants": 2, "rng": 0, "epochs": 2, "device": "cpu", "cache": tmp_path}
    (first,) = train_networks(**options)

    def again(*_, **__):
        raise AssertionError("trained a second time")

    monkeypatch.setattr("neuroling.n400.participants.train", again)
    (second,) = train_networks(**options)
    np.testing.assert_array_equal(first.weights["hidden.forward"], second.weights["hidden.forward"])


@pytest.mark.parametrize(
    "change", [{"participants": 1}, {"rng": 1}, {"training_seed": 1}, {"epochs": 3}, {"richness": (3, 6)}]
)
def test_whatever_makes_a_network_changes_its_key(tmp_path, change):
    options = {"lexicons": 1, "participants": 2, "rng": 0, "epochs": 2, "device": "cpu", "cache": tmp_path}
    train_networks(**options)
    train_networks(**{**options, **change})
    assert len(list(tmp_path.glob("*.safetensors"))) == 2


def test_network_of_another_version_is_refused(path):
    tensors = load_file(path)
    save_file(tensors, path, {"format": "neuroling-n400-network-0", "made": json.dumps({})})
    with pytest.raises(ValueError, match=r"of the version 'neuroling-n400-network-0'.*train it anew"):
        load_network(path)


def test_cached_network_of_another_version_is_refused_and_its_file_named(tmp_path):
    options = {"lexicons": 1, "participants": 2, "rng": 0, "epochs": 2, "device": "cpu", "cache": tmp_path}
    train_networks(**options)
    (file,) = tmp_path.glob("*.safetensors")
    save_file(load_file(file), file, {"format": "neuroling-n400-network-0", "made": json.dumps({})})
    with pytest.raises(ValueError, match=rf"{file.name}.* is of the version 'neuroling-n400-network-0'.*train it anew"):
        train_networks(**options)


def test_damaged_file_is_refused(path):
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match="damaged or no safetensors file"):
        load_network(path)


@pytest.mark.filterwarnings("error")
def test_a_flipped_bit_is_found_wherever_it_is(path):
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    for place in rng.integers(len(content), size=60).tolist():
        flipped = bytearray(content)
        flipped[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(flipped)
        with pytest.raises(ValueError, match=path.name):
            load_network(path)


def test_cached_network_of_another_key_or_another_user_is_refused(tmp_path):
    options = {"lexicons": 1, "participants": 2, "rng": 0, "epochs": 2, "device": "cpu", "cache": tmp_path}
    train_networks(**options)
    (first,) = tmp_path.glob("*.safetensors")
    train_networks(**{**options, "rng": 1})
    (second,) = set(tmp_path.glob("*.safetensors")) - {first}
    whole = first.read_bytes()
    first.write_bytes(second.read_bytes())
    with pytest.raises(ValueError, match="made from something else"):
        train_networks(**options)
    first.write_bytes(whole)
    first.chmod(0o666)
    with pytest.raises(ValueError, match="may be written by others"):
        train_networks(**options)


def test_file_that_lacks_its_making_is_refused(path):
    tensors, made = load_file(path), json.dumps({})
    save_file(tensors, path, {"format": module.FORMAT, "made": made, "sha256": module._digest(made, tensors)})
    with pytest.raises(ValueError, match="lacks 'lexicon'"):
        load_network(path)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.safetensors"):
        load_network(tmp_path / "nothing.safetensors")
