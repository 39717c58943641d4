from __future__ import annotations

from pathlib import Path

from neuroling import Result


def test_layers_go_from_files_to_a_report(call, set_constants, tiny_model):
    call("new", "layers", "depth")
    script = Path("depth/depth.py")
    set_constants(script, MODELS=f"{{'tiny': {str(tiny_model)!r}}}", LAYERS="None, 20")
    call("run", script, "--out", "results")
    result = Result.load("results/result.nc")
    names = result.score.model.to_numpy().tolist()
    assert names[:3] == ["word rate", "length", "position"]
    assert names[3:] == [f"{kind}, layer {k}" for kind in ("tiny", "tiny, untrained") for k in range(3)]
    assert "Score by layer" in Path("results/report.html").read_text("utf-8")


def test_a_simulated_effect_stands_beside_that_of_people(call, set_constants):
    call("new", "n400-simulation", "fatigue")
    set_constants(Path("fatigue/fatigue.py"), N_LEXICONS="2")
    call("run", "fatigue/fatigue.py", "--out", "results")
    simulated = Result.load("results/result.nc")
    assert float(simulated.estimates.low) > 0  # less activation by repeated words
    page = Path("results/report.html").read_text("utf-8")
    assert "People: What came out" in page
    assert "new minus repeated" in page
