"""What is measured: the workloads, the contenders, and the targets."""

import contextlib
import dataclasses
import statistics

import hooks
import web
from run import run_once
from suite import Suite


@dataclasses.dataclass(frozen=True)
class Workload:
    bytes: int
    connections: int
    inflight: int

    @property
    def size(self):
        return f"{self.bytes // 1024}KiB" if self.bytes >= 1024 else f"{self.bytes}B"

    @property
    def size_text(self):
        return f"{self.bytes // 1024} KiB" if self.bytes >= 1024 else f"{self.bytes} bytes"

    @property
    def shape(self):
        connections = "1 connection" if self.connections == 1 else f"{self.connections} connections"
        each = "" if self.connections == 1 else " each"
        return f"{connections}, {self.inflight} in flight{each}"

    def __str__(self):
        return f"{self.size_text}, {self.shape}"

    # A suite has these as well.
    seconds = 0

    def environment(self, _):
        return contextlib.nullcontext(self)

    @property
    def facts(self):
        return dataclasses.asdict(self)

    def matches(self, terms):
        """`echo`, `16B`, `inflight=100`, `connections=1`, `bytes=16`: all of them must hold."""
        return all(term in ("echo", self.size) or self._holds(term) for term in terms)

    def _holds(self, term):
        name, _, value = term.partition("=")
        return name in FIELDS and str(getattr(self, name)) == value


FIELDS = [field.name for field in dataclasses.fields(Workload)]
SHAPES = [(1, 1), (1, 50), (1, 100), (1, 500), (100, 1)]
WORKLOADS = [Workload(bytes, *shape) for bytes in (16, 4096) for shape in SHAPES]


@dataclasses.dataclass(frozen=True)
class Contender:
    """Two commands. The server takes --core and prints `port N` when it accepts calls; the client
    takes the options of benches/common/setup.hpp and prints one line of JSON."""

    name: str
    title: str
    server: tuple
    client: tuple

    def run(self, workload, settings):
        return run_once(self, workload, settings)


def contenders(bin_dir, native):
    """All known contenders; `native` is the Rust program, or None."""

    def programs(server, client):
        return (str(bin_dir / server),), (str(bin_dir / client),)

    known = [
        Contender("floor", "bare epoll", *programs("floor_server", "floor_client")),
        Contender("grpc", "gRPC C++", *programs("grpc_server", "grpc_client")),
        Contender("brpc", "brpc", *programs("brpc_server", "brpc_client")),
        Contender("brpc-done", "brpc, with done", (str(bin_dir / "brpc_server"),),
                  (str(bin_dir / "brpc_client"), "--style", "done")),
        Contender("brpc-raw", "brpc, raw client", *programs("brpc_server", "baidu_client")),
        Contender("fastrpc", "fastrpc C++", *programs("fastrpc_server", "fastrpc_client")),
        Contender("fastrpc-done", "fastrpc C++, with done", (str(bin_dir / "fastrpc_server"),),
                  (str(bin_dir / "fastrpc_client"), "--style", "done")),
        Contender("fastrpc-raw", "C++, raw client",
                  *programs("fastrpc_server", "baidu_client")),
    ]
    if native is not None:
        server = (str(native), "server")
        known.append(Contender("fastrpc-rust", "fastrpc Rust", server, (str(native), "client")))
        known.append(Contender("fastrpc-rust-raw", "Rust, raw client", server,
                               (str(bin_dir / "baidu_client"),)))
    return known


@dataclasses.dataclass
class Result:
    """The rounds of one contender at one workload; a round that failed is None."""

    samples: list
    failure: str = ""

    def values(self, key):
        return [sample[key] for sample in self.samples if sample and sample.get(key) is not None]

    def keys(self):
        return next((sample.keys() for sample in self.samples if sample), ())

    def median(self, key):
        values = self.values(key)
        return statistics.median(values) if values else None

    def ratio(self, other, key):
        """The median of the rounds' ratios: what drifts from round to round cancels out."""
        if other is None:
            return None
        pairs = [(a[key], b[key]) for a, b in zip(self.samples, other.samples) if a and b]
        return statistics.median(a / b for a, b in pairs if b) if pairs else None


@dataclasses.dataclass(frozen=True)
class Target:
    title: str
    unit: str
    at_least: bool
    limit: float
    measured: object  # (results by workload and contender, micro by name) -> number or None


def _ratio(workload, ours, theirs, key):
    def measured(results, micro):
        mine = results.get((workload, ours))
        return mine and mine.ratio(results.get((workload, theirs)), key)

    return measured


def _median(workload, ours, key):
    def measured(results, micro):
        mine = results.get((workload, ours))
        return mine and mine.median(key)

    return measured


def _micro(name):
    return lambda results, micro: micro.get(name)


def _beyond(name, base):
    """How much more one figure of the runtime is than another."""
    return lambda results, micro: micro[name] - micro[base] if {name, base} <= micro.keys() else None


PIPELINED = Workload(16, 1, 100)
MANY = Workload(16, 100, 1)
SINGLE = Workload(16, 1, 1)


def _targets_of(ours, title):
    return [
        Target(f"{title}, 100 in flight: calls, times gRPC C++", "x", True, 5.0,
               _ratio(PIPELINED, ours, "grpc", "calls_per_second")),
        Target(f"{title}, 100 in flight: server CPU a call", "us", False, 1.2,
               _median(PIPELINED, ours, "server_cpu_us")),
        Target(f"{title}, 100 connections: calls, times bare epoll", "x", True, 0.75,
               _ratio(MANY, ours, "floor", "calls_per_second")),
        Target(f"{title}, one in flight: p50, times bare epoll", "x", False, 1.2,
               _ratio(SINGLE, ours, "floor", "p50_us")),
    ]


def _targets_of_hooks(server):
    one, many = (Suite(hooks.name_of(server, connections)) for connections in (1, hooks.MANY))
    ours = ("coroutines", "threads")
    return [
        Target(f"{server}, 100 hooked coroutines: queries, times threads", "x", True, 1.0,
               _ratio(many, *ours, "calls_per_second")),
        Target(f"{server}, 100 hooked coroutines: address space, times threads", "x", False, 0.1,
               _ratio(many, *ours, "address_kib")),
        Target(f"{server}, 100 hooked coroutines: resident memory, times threads", "x", False, 0.1,
               _ratio(many, *ours, "resident_kib")),
        Target(f"{server}, one hooked coroutine: p50, times a thread", "x", False, 1.1,
               _ratio(one, *ours, "p50_us")),
    ]


TARGETS = [
    *_targets_of("fastrpc", "C++"),
    *_targets_of("fastrpc-rust", "Rust"),
    *[Target(f"HTTP, {title}: requests per second of CPU, times nginx", "x", True, 0.7,
             _ratio(web.HELLO, name, "nginx", "calls_per_core"))
      for name, title in (("fastrpc-rust", "Rust"), ("fastrpc", "C++ route"),
                          ("fastrpc-handler", "HttpHandler"))],
    *_targets_of_hooks("redis"),
    *_targets_of_hooks("mariadb"),
    Target("a call with hooks off, beyond libc's", "ns", False, 10.0,
           _beyond("hooks_off_read_ns", "libc_read_ns")),
    Target("yield", "ns", False, 120, _micro("yield_ns")),
    Target("park and unpark", "ns", False, 90, _micro("park_unpark_ns")),
    Target("spawn and join", "ns", False, 250, _micro("spawn_join_ns")),
    Target("resident bytes of a parked coroutine", "B", False, 9 * 1024, _micro("parked_bytes")),
]
