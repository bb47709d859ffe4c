"""HTTP: hello from our server and from nginx, requested by wrk."""

import pathlib
import time

import servers
from run import figures_of, serving
from suite import Column, Entry, Ratio, Suite, find_program

SCRIPT = pathlib.Path(__file__).resolve().parents[1] / "http.lua"
CONNECTIONS = 64
HELLO = Suite("http, hello")


def suites(bin_dir, native):
    cpp = str(bin_dir / "http_server")

    def entry(name, title, *command):
        def run(_, settings):
            with serving(command, settings) as (server, port):
                return _ask(server.pid, port, settings)

        return Entry(name, title, run, command[:1])

    entries = (
        Entry("nginx", "nginx", _nginx, ()),
        entry("fastrpc-rust", "fastrpc Rust", native and str(native), "http"),
        entry("fastrpc", "C++ route", cpp, "--style", "route"),
        entry("fastrpc-handler", "C++ HttpHandler", cpp, "--style", "handler"),
    )
    columns = (
        Column("requests/s", "calls_per_second"),
        Column("requests/CPU s", "calls_per_core"),
        Column("p50 us", "p50_us"),
        Column("p99 us", "p99_us"),
        Column("server us/request", "server_cpu_us", 2),
    )
    ratios = (
        Ratio("x nginx", "calls_per_second", "nginx"),
        Ratio("x nginx, CPU", "calls_per_core", "nginx"),
    )
    return [Suite(HELLO.name, entries, columns, ratios,
                  Column("requests per second of server CPU", "calls_per_core"),
                  needs=("nginx", "wrk"), seconds=0.6)]


def _nginx(_, settings):
    with servers.nginx(settings) as (server, port):
        return _ask(server.pid, port, settings)


def _ask(pid, port, settings):
    # wrk counts whole seconds.
    seconds = max(1, round(settings.seconds))
    command = ["taskset", "-c", str(settings.client_core), find_program("wrk"), "-t1",
               f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", SCRIPT, f"http://127.0.0.1:{port}/"]
    before = cpu_seconds(pid)
    sample = figures_of(command, settings, seconds)
    cpu = cpu_seconds(pid) - before
    sample["calls_per_core"] = sample["calls"] / cpu
    sample["server_cpu_us"] = cpu * 1e6 / sample["calls"]
    return sample


def cpu_seconds(pid):
    """CPU time of a process, by the clock id that clock_getcpuclockid(3) returns."""
    return time.clock_gettime((~pid << 3) | 2)
