"""A real Slurm on one machine, for tests: three nodes on loopback, without systemd, cgroups or a database.

``python tests/slurm/cluster.py up FOLDER`` starts one and prints the line that other shells need; ``down FOLDER`` ends
it. Everything lives in the folder; only processes whose numbers stand there are stopped. ``install`` (root)
takes Debian's packages. Every setting that is not a default has its reason beside it, found by trying on Slurm 22.05.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PACKAGES = ("slurmctld", "slurmd", "slurm-client", "munge", "slurm-wlm-basic-plugins")
PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "scontrol")
ETC = Path("/etc/slurm")

CONFIGURATION = """\
ClusterName=neuroling
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
SlurmctldPort={port}
# loopback only
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
AuthType=auth/munge
# a requeued job waits until its old credential has expired, by default for 120 s
AuthInfo=socket={folder}/munge/socket,cred_expire=5
# no cgroups, no mail, no limits of the shell that started it
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
PropagateResourceLimits=NONE
MailProg=/bin/true
# nodes may claim more than the machine has
SlurmdParameters=config_overrides
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
# look for work every second, since tests wait for it
SchedulerParameters=bf_interval=1,sched_interval=2,sched_min_interval=0,batch_sched_delay=0,requeue_delay=0
# jobs of "high" put jobs of "low" back into the queue
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
ReturnToService=2
KillWait=2
MinJobAge=600
SlurmdTimeout=20
MessageTimeout=20
GresTypes=gpu
NodeName=DEFAULT CPUs={cpus} CoresPerSocket={cpus} ThreadsPerCore=1 RealMemory={memory_mb} State=UNKNOWN
{nodes}
PartitionName=DEFAULT Nodes=ALL MaxTime=60 DefaultTime=10 DefMemPerCPU=500 State=UP
PartitionName=low Default=YES PriorityTier=1
PartitionName=high PriorityTier=10
"""


@dataclass(frozen=True)
class Cluster:
    """Where a cluster lives, and how big it pretends to be."""

    folder: Path
    n_nodes: int = 3
    cpus: int = 2
    memory_mb: int = 6000
    port: int = 16917

    @property
    def environment(self) -> dict[str, str]:
        """Variables that Slurm's programs need to find it."""
        path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
        return {**os.environ, "PATH": path, "SLURM_CONF": str(self.folder / "slurm.conf")}

    def run(self, *command: str, check: bool = True, timeout_s: float = 60.0) -> str:
        """Run a program of Slurm's and give what it prints."""
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=False, timeout=timeout_s
        )
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(command)}: status {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def up(self) -> None:
        """Write the configuration, start every daemon, and wait until all nodes are idle."""
        self._write()
        self._link()
        munge = self.folder / "munge"
        names = {"socket": "socket", "key-file": "key", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
        self.run("munged", *(f"--{option}={munge / name}" for option, name in names.items()), "--num-threads=2")
        self.run("slurmctld", "-i")
        for name in self.nodes:
            self.run("slurmd", "-N", name)
        wait_until(lambda: len(self.idle()) == self.n_nodes, 60.0, "nodes to be idle", self.logs)

    def down(self) -> None:
        """Cancel all jobs, stop the daemons started by ``up``, and take the links away again."""
        self.run("scancel", "--user", _user(), check=False)
        time.sleep(1.0)
        numbers = [int(path.read_text()) for path in self._pid_files() if path.exists() and path.read_text().strip()]
        for number in numbers:
            _kill(number, signal.SIGTERM)
        try:
            wait_until(lambda: not any(map(_is_alive, numbers)), 15.0, "daemons to end", str)
        except TimeoutError:
            for number in numbers:
                _kill(number, signal.SIGKILL)
        for name in ("slurm.conf", "gres.conf"):
            link = ETC / name
            if link.is_symlink() and link.readlink() == self.folder / name:
                link.unlink()

    @property
    def nodes(self) -> list[str]:
        """Names of the nodes."""
        return [f"n{number}" for number in range(1, self.n_nodes + 1)]

    def idle(self) -> list[str]:
        """Names of the nodes that are waiting for work."""
        return sorted(set(self.run("sinfo", "-h", "-N", "-p", "low", "-t", "idle", "-o", "%N", check=False).split()))

    def jobs(self) -> list[str]:
        """Numbers of the jobs that wait or are at work."""
        return self.run("squeue", "-h", "-o", "%i").split()

    def logs(self) -> str:
        """Last lines of every daemon's log."""
        return "\n".join(f"--- {path}\n{path.read_text()[-2000:]}" for path in sorted(self.folder.glob("*.log")))

    def _pid_files(self) -> list[Path]:
        daemons = [self.folder / f"slurmd.{name}.pid" for name in self.nodes]
        return [*daemons, self.folder / "slurmctld.pid", self.folder / "munge" / "pid"]

    def _write(self) -> None:
        for name in ("state", "munge", "gpu", *(f"spool/{node}" for node in self.nodes)):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)
        (self.folder / "munge").chmod(0o755)
        key = self.folder / "munge" / "key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        # A card must be a character device for CUDA_VISIBLE_DEVICES to be set; a link to /dev/null is one.
        cards = []
        for node in self.nodes:
            (self.folder / "gpu" / node).mkdir(exist_ok=True)
            card = self.folder / "gpu" / node / "nvidia0"
            card.unlink(missing_ok=True)
            card.symlink_to("/dev/null")
            cards.append(f"NodeName={node} Name=gpu Type=fake File={card}")
        (self.folder / "gres.conf").write_text("\n".join(cards) + "\n")
        host = socket.gethostname().split(".")[0]
        lines = [
            f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={self.port + 10 + number} Gres=gpu:fake:1"
            for number, node in enumerate(self.nodes)
        ]
        text = CONFIGURATION.format(
            host=host,
            user=_user(),
            port=self.port,
            folder=self.folder,
            cpus=self.cpus,
            memory_mb=self.memory_mb,
            nodes="\n".join(lines),
        )
        (self.folder / "slurm.conf").write_text(text)

    def _link(self) -> None:
        """Let programs find the configuration that strip every SLURM variable, as Snakemake's plug-in does."""
        if os.getuid() != 0:
            return
        ETC.mkdir(exist_ok=True)
        for name in ("slurm.conf", "gres.conf"):
            link = ETC / name
            if link.exists() and not link.is_symlink():
                raise RuntimeError(f"{link} belongs to a cluster of this machine; not touched.")
            link.unlink(missing_ok=True)
            link.symlink_to(self.folder / name)


@contextmanager
def running(folder: Path) -> Iterator[Cluster]:
    """Start a cluster and end it."""
    cluster = Cluster(folder)
    try:
        cluster.up()
        yield cluster
    finally:
        cluster.down()


def missing() -> str | None:
    """Say what is in the way of a cluster here, after trying to install it; None if nothing is."""
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    if all(map(shutil.which, PROGRAMS)):
        return None
    if os.getuid() != 0 or shutil.which("apt-get") is None:
        return f"Slurm is not installed (apt-get install {' '.join(PACKAGES)})"
    install()
    return None if all(map(shutil.which, PROGRAMS)) else "Debian's packages of Slurm could not be installed"


def install() -> None:
    """Install Debian's packages; a failure shows in what is missing afterwards."""
    apt = ("apt-get", "-o", "DPkg::Lock::Timeout=300", "-qq")
    for command in (("update",), ("install", "-y", "--no-install-recommends", *PACKAGES)):
        subprocess.run(
            (*apt, *command), env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, check=False, capture_output=True
        )


def wait_until(true: Callable[[], bool], seconds: float, what: str, logs: Callable[[], str]) -> None:
    """Ask again and again; after so many seconds say what was waited for, and show the logs."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:.0f} s for {what}\n{logs()}")
        time.sleep(0.2)


def _user() -> str:
    return subprocess.run(("id", "-un"), capture_output=True, text=True, check=True).stdout.strip()


def _kill(number: int, with_signal: int) -> None:
    try:
        os.kill(number, with_signal)
    except ProcessLookupError:
        return


def _is_alive(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    verb, *where = sys.argv[1:] or [""]
    if verb == "install":
        install()
    elif verb == "up" and where:
        Cluster(Path(where[0]).resolve()).up()
        sys.stdout.write(f"export SLURM_CONF={Path(where[0]).resolve()}/slurm.conf\n")
    elif verb == "down" and where:
        Cluster(Path(where[0]).resolve()).down()
    else:
        raise SystemExit("usage: cluster.py install | up FOLDER | down FOLDER")
