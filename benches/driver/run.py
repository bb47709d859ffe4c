"""Runs one contender at one workload for one round."""

import contextlib
import ctypes
import dataclasses
import json
import os
import resource
import select
import signal
import subprocess
import tempfile
import time

READY_SECONDS = 20
GRACE_SECONDS = 30
PR_SET_PDEATHSIG = 1
FILES = 8192


class Failure(Exception):
    pass


@dataclasses.dataclass(frozen=True)
class Settings:
    warmup: float
    seconds: float
    server_core: int
    client_core: int
    realtime: bool

    def prepare(self):
        """Runs in the child, before exec: it must not outlive us, however we end."""
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        # Some hold a thousand connections.
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        if most == resource.RLIM_INFINITY or most > FILES:
            resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, most))
        if self.realtime:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))


def run_once(contender, workload, settings):
    """The client's figures of an echo, with `calls_per_second` and `other_load` added."""
    with serving(contender.server, settings) as (server, port):
        return run_client(contender.client, settings, {
            "port": port,
            "connections": workload.connections,
            "inflight": workload.inflight,
            "bytes": workload.bytes,
            "server-pid": server.pid,
        })


@contextlib.contextmanager
def serving(command, settings):
    """Runs a server of ours, which prints its port. Yields its process and the port."""
    with tempfile.TemporaryFile() as log:
        server = subprocess.Popen([*command, "--core", str(settings.server_core)],
                                  stdout=subprocess.PIPE, stderr=log,
                                  preexec_fn=settings.prepare)
        try:
            yield server, _read_port(server)
        except Failure as failure:
            log.seek(0)
            raise Failure(f"{failure} {_tail(log.read())}".strip()) from None
        finally:
            server.kill()
            server.wait()
            server.stdout.close()


def run_client(command, settings, options):
    """The figures that a client of ours prints, with `calls_per_second` and `other_load` added."""
    options = {"core": settings.client_core, "warmup": settings.warmup,
               "seconds": settings.seconds, **options}
    command = [*command]
    for name, value in options.items():
        command += [f"--{name}", str(value)]
    return figures_of(command, settings, settings.warmup + settings.seconds)


def figures_of(command, settings, seconds):
    """The same for any program whose last line is JSON and which takes about `seconds`."""
    before = _Usage([settings.server_core, settings.client_core])
    try:
        client = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True,
                                timeout=seconds + GRACE_SECONDS, preexec_fn=settings.prepare)
    except subprocess.TimeoutExpired:
        raise Failure("the client did not end") from None
    if client.returncode != 0:
        raise Failure(f"the client ended with {client.returncode}: {_tail(client.stderr)}")
    try:
        sample = json.loads(client.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        raise Failure(f"the client printed no figures: {_tail(client.stdout)}") from None
    if sample["errors"]:
        raise Failure(f"{sample['errors']} calls failed")
    sample["calls_per_second"] = sample["calls"] / sample["seconds"]
    sample["other_load"] = before.other_load()
    return sample


def _read_port(server):
    end = time.monotonic() + READY_SECONDS
    line = b""
    while not line.endswith(b"\n"):
        ready, _, _ = select.select([server.stdout], [], [], max(0, end - time.monotonic()))
        chunk = os.read(server.stdout.fileno(), 1) if ready else b""
        if not chunk:
            raise Failure("the server did not become ready")
        line += chunk
    word, _, port = line.decode(errors="replace").strip().partition(" ")
    if word != "port" or not port.isdigit():
        raise Failure(f"the server said {line!r} instead of its port")
    return int(port)


def _tail(output):
    return output.decode(errors="replace").strip()[-300:]


class _Usage:
    """What else ran on our two cores: the first suspect when figures are odd."""

    def __init__(self, cores):
        self.cores = set(cores)
        self.time = time.monotonic()
        self.busy = self._busy()
        self.children = self._children()

    def other_load(self):
        elapsed = (time.monotonic() - self.time) * len(self.cores)
        others = (self._busy() - self.busy) - (self._children() - self.children)
        return max(0.0, others / elapsed)

    def _busy(self):
        names = {f"cpu{core}" for core in self.cores}
        ticks = 0
        with open("/proc/stat", encoding="ascii") as stat:
            for line in stat:
                name, *fields = line.split()
                if name in names:
                    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields[:8])
                    ticks += user + nice + system + irq + softirq + steal
        return ticks / os.sysconf("SC_CLK_TCK")

    @staticmethod
    def _children():
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime
