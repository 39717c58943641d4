"""Bad input, damaged files, killed commands, full disks and planted code: what the package does, counted.

python benchmarks/reliability/campaign.py [--only PART …] [--seed 0] [--json FILE] [--page FILE]

Parts are ``inputs`` (the catalogue of the tests), ``flips``, ``cuts``, ``kills``, ``disks`` (root, on Linux) and
``canaries``; all take about an hour on two cores. The workflow needs snakemake on the path, or its place in
``NEUROLING_SNAKEMAKE``. Results are kept part by part; ``--page`` renews the table of the documentation. Exits with 1
if anything came out that is not due.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import canaries
import damage
import interruptions

ROOT = Path(__file__).resolve().parents[2]
RESULTS = Path(__file__).with_name("campaign.json")
BEGIN, END = "<!-- table: python benchmarks/reliability/campaign.py --page docs/reliability.md -->", "<!-- end -->"
LEAST = {"inputs": 600, "flips": 1200, "cuts": 150, "kills": 120, "disks": 60, "canaries": 80}
"""How many trials a campaign has at least, by part."""

TITLES = {
    "inputs": "bad input",
    "flips": "flipped bits",
    "cuts": "truncations",
    "kills": "kills",
    "disks": "full or read-only disks",
    "canaries": "planted code and markup",
}


def inputs(_folder: Path, _seed: int) -> dict[str, Any]:
    """Run the catalogue of bad input, and count its cases by table."""
    line = [sys.executable, "-P", "-m", "pytest", "tests/catalogue", "-q", "-rf", "-p", "no:cacheprovider"]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    passed = int((re.findall(r"(\d+) passed", done.stdout) or ["0"])[-1])
    failures = [text for text in done.stdout.splitlines() if text.startswith(("FAILED", "ERROR"))]
    return {"counts": {"rows of the catalogue, times entry points": {"as due": passed}}, "failures": failures}


PARTS: dict[str, Callable[[Path, int], dict[str, Any]]] = {
    "inputs": inputs,
    "flips": lambda folder, seed: damage.counted(damage.flips(folder, seed)),
    "cuts": lambda folder, seed: damage.counted(damage.cuts(folder, seed)),
    "kills": lambda folder, seed: damage.counted(interruptions.kills(folder, seed)),
    "disks": lambda folder, _seed: damage.counted(interruptions.disks(folder)),
    "canaries": lambda folder, _seed: damage.counted(canaries.canaries(folder)),
}


def total(part: dict[str, Any]) -> int:
    """Count the trials of a part, less those in which the command had ended before it was killed."""
    return sum(sum(counts.values()) - counts.get("had ended", 0) for counts in part["counts"].values())


def table_of(results: dict[str, dict[str, Any]]) -> str:
    """Give the table of the documentation."""
    lines = ["| what | where | trials | outcomes |", "|---|---|---|---|"]
    for name, part in results.items():
        for where, counts in part["counts"].items():
            outcomes = ", ".join(f"{outcome} {count:,}" for outcome, count in sorted(counts.items()))
            lines.append(f"| {TITLES[name]} | {where} | {sum(counts.values()):,} | {outcomes} |")
        lines.append(f"| **{TITLES[name]}, all** | | **{total(part):,}** | **{len(part['failures'])} not as due** |")
    return "\n".join(lines) + "\n"


def with_table(page: str, results: dict[str, dict[str, Any]]) -> str:
    """Give a page with these results where its table is."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table_of(results)}{END}{after}"


def main() -> int:
    """Run parts, keep what came out, and say what is not as due."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", default=list(PARTS), choices=list(PARTS), help="Parts to run.")
    parser.add_argument("--seed", type=int, default=0, help="Seed of places and moments.")
    parser.add_argument("--json", type=Path, default=RESULTS, help="File of results, part by part.")
    parser.add_argument("--page", type=Path, help="Page whose table is renewed; nothing is tried.")
    options = parser.parse_args()
    found = json.loads(options.json.read_text(encoding="utf-8")) if options.json.exists() else {}
    if options.page:
        options.page.write_text(with_table(options.page.read_text(encoding="utf-8"), found), encoding="utf-8")
        return 0
    for name in options.only:
        with tempfile.TemporaryDirectory() as folder:
            found[name] = {"seed": options.seed, **PARTS[name](Path(folder) / "trials", options.seed)}
        found = {one: found[one] for one in PARTS if one in found}
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        print(f"{name}: {total(found[name])} trials, {len(found[name]['failures'])} not as due", flush=True)
        print(*found[name]["failures"], sep="\n")
    return int(any(found[name]["failures"] for name in options.only))


if __name__ == "__main__":
    sys.exit(main())
