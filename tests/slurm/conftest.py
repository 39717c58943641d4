from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # cluster.py stands beside the tests

SNAKEMAKE = ("snakemake>=9.27,<10", "snakemake-executor-plugin-slurm>=2.8,<3", "pygments>=2.15")


@pytest.fixture(scope="session")
def snakemake(tmp_path_factory) -> str:
    """Snakemake from the path, or from an environment of its own made here."""
    found = shutil.which("snakemake")
    if found:
        return found
    folder = tmp_path_factory.mktemp("snakemake")
    subprocess.run((sys.executable, "-m", "venv", str(folder)), check=True)
    command = (str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", *SNAKEMAKE)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"Snakemake could not be installed: {done.stderr.strip().splitlines()[-1:]}")
    return str(folder / "bin" / "snakemake")
