"""Push fan-out: a server pushes one message to all of its clients, again and again."""

from run import run_client, serving
from suite import Column, Entry, Ratio, Suite

CLIENTS = 1000
FAN_OUT = Suite(f"push, {CLIENTS} connections")


def suites(bin_dir, native):
    client = str(bin_dir / "push_client")

    def entry(name, title, *command):
        def run(_, settings):
            with serving(command, settings) as (server, port):
                return run_client([client], settings, {
                    "port": port, "connections": CLIENTS, "server-pid": server.pid})

        return Entry(name, title, run, (command[0], client))

    entries = (
        entry("floor", "bare epoll", str(bin_dir / "push_floor")),
        entry("fastrpc", "fastrpc C++", str(bin_dir / "push_server")),
        entry("fastrpc-rust", "fastrpc Rust", native and str(native), "push"),
    )
    columns = (
        Column("messages/s", "calls_per_second"),
        Column("p50 to the last, us", "p50_us"),
        Column("p99 to the last, us", "p99_us"),
        Column("server us/message", "server_cpu_us", 2),
        Column("client us/message", "client_cpu_us", 2),
    )
    ratios = (
        Ratio("x floor", "calls_per_second", "floor"),
        Ratio("x floor, CPU", "server_cpu_us", "floor"),
    )
    return [Suite(FAN_OUT.name, entries, columns, ratios,
                  Column("messages per second", "calls_per_second"), seconds=0.4)]
