from __future__ import annotations

import json

import numpy as np
import pytest


def test_show_summarises(call, saved):
    text = call("show", saved("a.nc", [0.1, 0.3])).stdout
    assert "pearson: mean 0.200" in text
    assert "subject 2" in text


def test_show_table_has_a_row_a_position(call, saved):
    lines = call("show", saved("a.nc", [0.1, 0.3]), "--table").stdout.splitlines()
    assert [line.split("\t")[0] for line in lines] == ["subject", "subject 0", "subject 1"]


def test_show_gives_json_with_null_for_what_is_undefined(call, saved):
    found = json.loads(call("show", saved("a.nc", [0.1, np.nan]), "--json").stdout)
    assert found["axes"] == {"subject": 2}
    assert [row["score"] for row in found["positions"]] == [0.1, None]
    assert found["provenance"]["options"]["model"] == "Ridge()"


def test_models_are_never_averaged(call, make_result, tmp_path):
    """MiniLM at 0.4 and a control at 0 are not "0.2"."""
    paths = [tmp_path / "a.nc", tmp_path / "b.nc"]
    for path, values in zip(paths, ([0.4, 0.0], [0.3, 0.1]), strict=True):
        make_result(values, "model", ["MiniLM", "word length"]).save(path)
    assert json.loads(call("show", paths[0], "--json").stdout)["mean"] == {"MiniLM": 0.4, "word length": 0.0}
    compared = json.loads(call("compare", *paths, "--json").stdout)["mean"]["A - B"]
    assert compared == pytest.approx({"MiniLM": 0.1, "word length": -0.1})
    text = call("compare", *paths).stdout
    assert "MiniLM: A | B = 0.4000 | 0.3000; A - B = +0.1000" in text
    assert "word length: A | B = 0.0000 | 0.1000; A - B = -0.1000" in text


def test_compare_gives_json(call, saved):
    first, second = saved("a.nc", [0.1, 0.3]), saved("b.nc", [0.0, 0.1], model="another")
    found = json.loads(call("compare", first, second, "--json").stdout)
    assert found["mean"]["A - B"] == pytest.approx(0.15)
    assert [row["difference"] for row in found["positions"]] == pytest.approx([0.1, 0.2])
    assert found["differs"] == ["options.model: Ridge() | another"]


def test_show_provenance_tells_options_data_and_versions(call, saved):
    text = call("show", saved("a.nc", [0.1, 0.3]), "--provenance").stdout
    assert all(part in text for part in ("model: Ridge()", "recording: aaaa", "numpy: 2.0", "created: 2024"))


def test_show_says_that_data_are_synthetic(call, saved):
    assert "SYNTHETIC" in call("show", saved("a.nc", [0.1, 0.3], synthetic=True)).stdout


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\x89HDF\r\n\x1a\n"])
def test_a_file_that_is_no_result_is_one_line(call, tmp_path, content):
    path = tmp_path / "a.nc"
    path.write_bytes(content)
    answer = call("show", path)
    assert answer.exit_code == 1
    assert answer.stderr.startswith("neuroling: ")
    assert answer.stderr.count("\n") == 1


def test_a_missing_file_is_one_line(call, tmp_path):
    assert "is not a file" in call("show", tmp_path / "none.nc").stderr


def test_compare_gives_both_means_and_the_difference(call, saved):
    text = call("compare", saved("a.nc", [0.3, 0.5]), saved("b.nc", [0.1, 0.2])).stdout
    assert "A | B = 0.4000 | 0.1500; A - B = +0.2500" in text


def test_compare_lists_a_few_positions_side_by_side(call, saved):
    lines = call("compare", saved("a.nc", [0.3, 0.5]), saved("b.nc", [0.1, 0.2])).stdout.splitlines()
    assert ["subject", "1", "0.5000", "0.2000", "0.3000"] in [line.split() for line in lines]


def test_compare_does_not_list_thousands_of_positions(call, saved):
    rng = np.random.default_rng(0)
    a, b = (saved(name, rng.standard_normal(1000), "voxel") for name in ("a.nc", "b.nc"))
    assert len(call("compare", a, b).stdout.splitlines()) < 10


def test_compare_of_single_numbers_needs_no_axes(call, saved):
    text = call("compare", saved("a.nc", [0.3], None), saved("b.nc", [0.1], None)).stdout
    assert "A - B = +0.2000" in text


def test_compare_table_has_both_scores(call, saved):
    lines = call("compare", saved("a.nc", [0.3, 0.5]), saved("b.nc", [0.1, 0.2]), "--table").stdout.splitlines()
    assert lines[0].split("\t") == ["subject", "A", "B", "difference"]
    assert len(lines) == 3


def test_compare_says_what_differs(call, saved):
    text = call("compare", saved("a.nc", [0.3], splits="KFold(5)"), saved("b.nc", [0.3], splits="KFold(6)")).stdout
    assert "options.splits: KFold(5) | KFold(6)" in text


def test_compare_says_when_nothing_differs(call, saved):
    path = saved("a.nc", [0.3, 0.2])
    assert "nothing but the time of the run" in call("compare", path, path).stdout


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"values": [0.1, 0.2], "metric": "r2"}, "metric: A has 'pearson' and B 'r2'"),
        ({"values": [0.1, 0.2], "dim": "voxel"}, "axes: "),
        ({"values": [0.1, 0.2, 0.3]}, "subject: A has 2 entries and B 3"),
        ({"values": [0.1, 0.2], "labels": ["x", "y"]}, "the labels of A and B differ: 4 stand on one side only"),
        ({"values": [0.1, 0.2], "labels": ["subject 1", "subject 0"]}, "they are in another order"),
        ({"values": [0.1, 0.2], "synthetic": True}, "B was computed on synthetic data"),
    ],
)
def test_what_cannot_be_compared_is_refused_with_a_sentence(call, saved, other, reason):
    answer = call("compare", saved("a.nc", [0.3, 0.5]), saved("b.nc", **other))
    assert answer.exit_code == 1
    assert reason in answer.stderr


def test_a_clear_difference_over_participants_is_significant(call, saved):
    a = 0.5 + 0.01 * np.arange(8)
    text = call("compare", saved("a.nc", a), saved("b.nc", a - 0.2 - 0.02 * np.arange(8))).stdout
    assert "p = 0.007812 (two-sided, 255 sign flips over 8 participants)" in text


def test_the_paired_test_is_two_sided(call, saved):
    a = 0.5 + 0.01 * np.arange(8)
    forth = call("compare", saved("a.nc", a), saved("b.nc", a - 0.2 - 0.02 * np.arange(8))).stdout
    back = call("compare", saved("b.nc", a - 0.2 - 0.02 * np.arange(8)), saved("a.nc", a)).stdout
    assert "p = 0.007812" in forth
    assert "p = 0.007812" in back


@pytest.mark.parametrize(
    ("a", "b", "reason"),
    [
        ({"values": [0.3] * 6, "dim": "voxel"}, {"values": [0.1] * 6, "dim": "voxel"}, "no subject axis"),
        ({"values": [0.3] * 4}, {"values": [0.1] * 4}, "4 participants are fewer than 5"),
        ({"values": [0.3] * 6}, {"values": [0.1] * 6, "recording": "b" * 64}, "the recordings differ"),
        ({"values": [0.3] * 6, "recording": ""}, {"values": [0.1] * 6, "recording": ""}, "not recorded whose data"),
        ({"values": [0.3] * 5 + [np.nan]}, {"values": [0.1] * 6}, "some differences are undefined"),
        ({"values": [0.5] * 6}, {"values": [0.25] * 6}, "the same difference"),
    ],
)
def test_no_test_is_made_where_it_would_mean_nothing(call, saved, a, b, reason):
    answer = call("compare", saved("a.nc", **a), saved("b.nc", **b))
    assert answer.exit_code == 0
    assert reason in answer.stdout
