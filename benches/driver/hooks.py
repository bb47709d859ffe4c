"""Hooks: client libraries as they come, in coroutines of one worker and in threads."""

import servers
from run import run_client
from suite import Column, Entry, Ratio, Suite

MANY = 100
CLIENTS = (
    # The server, its environment, what it needs, and the client library.
    ("redis", servers.redis, ("redis-server",), "hiredis"),
    ("mariadb", servers.mariadb, ("mariadbd", "mariadb-install-db"), "libmariadb"),
)


def name_of(server, connections):
    return f"hooks, {server}, {connections} connection{'s' if connections > 1 else ''}"


def suites(bin_dir, _native):
    return [_suite(bin_dir, *client, connections)
            for client in CLIENTS for connections in (1, MANY)]


def _suite(bin_dir, server, environment, needs, library, connections):
    def entry(name, title, *style):
        program = str(bin_dir / f"{library}_{'coroutines' if name == 'coroutines' else 'threads'}")

        def run(serving, settings):
            _, port = serving
            sample = run_client([program, *style], settings,
                                {"port": port, "connections": connections})
            for key in ("resident", "address"):
                sample[f"{key}_kib"] = sample[f"{key}_bytes"] / 1024
            return sample

        return Entry(name, title, run, (program,))

    many = connections > 1
    columns = (
        Column("queries/s", "calls_per_second"),
        Column("p50 us", "p50_us", 1),
        Column("p99 us", "p99_us", 1),
        Column("client us/query", "client_cpu_us", 2),
        *([Column("resident KiB each", "resident_kib", 1),
           Column("address space KiB each", "address_kib")] if many else []),
    )
    ratios = [Ratio("x threads", "calls_per_second", "threads")]
    ratios += [Ratio("x resident", "resident_kib", "threads")] if many else []
    ratios += [Ratio("x p50", "p50_us", "threads")]
    entries = [entry("threads", "threads" if many else "a thread"),
               entry("coroutines", "hooked coroutines" if many else "a hooked coroutine")]
    if many:
        # For the memory that the client library itself takes for a connection.
        entries.append(entry("by-turns", "a thread, by turns", "--style", "by-turns"))
    return Suite(
        name_of(server, connections), tuple(entries),
        columns, tuple(ratios), Column("queries per second", "calls_per_second"),
        environment, needs, seconds=0.4)
