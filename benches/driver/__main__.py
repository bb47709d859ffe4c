"""Measures fastrpc beside gRPC and beside the floor, a bare epoll echo, in one run; its HTTP beside
nginx, its hooks beside threads.

Builds what it needs (benches/, and the Rust bench programs), then runs every contender at every
workload, in rounds that take turns, with the server on one core and the client on another.
Prints medians; writes charts to build/bench. See benches/README.md for what the figures mean.
"""

import argparse
import contextlib
import json
import os
import pathlib
import platform
import subprocess
import sys
import time

import chart
import hooks
import plan
import push
import table
import web
from run import Failure, Settings

ROOT = pathlib.Path(__file__).resolve().parents[2]
START_SECONDS = 0.15  # of a server and a client, for the estimate


def main():
    options = parse_arguments()
    native, micro_program = (None, None)
    if options.build:
        print("bench: building ...", file=sys.stderr, flush=True)
        build_cpp(options)
        native, micro_program = build_rust()
    everyone = plan.contenders(options.build_dir / "bin", native)
    workloads = select_workloads(options)
    contenders = select_contenders(options, everyone) if workloads else []
    suites = select_suites(options, options.build_dir / "bin", native)
    if not workloads and not suites:
        sys.exit("bench: nothing is left to measure; see --list")
    settings = Settings(options.warmup, options.seconds, options.server_core,
                        options.client_core, options.realtime)

    micro = {}
    if options.micro:
        for program in (micro_program, options.build_dir / "bin" / "fastrpc_micro"):
            micro.update(run_micro(program, settings))
    loads = [(workload, contenders) for workload in workloads]
    loads += [(suite, suite.present) for suite in suites]
    results = run_all(loads, options.rounds, settings)
    report(options, results, contenders, workloads, suites, micro)
    failures = [f"{load}, {name}: {result.failure}"
                for (load, name), result in results.items() if result.failure]
    for failure in failures:
        print(f"failed: {failure}", file=sys.stderr)
    return 1 if failures else 0


def parse_arguments():
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true",
                        help="one short round: a minute or so, rougher figures")
    parser.add_argument("--only", action="append", default=[], metavar="TERMS",
                        help="workloads for which all terms hold, e.g. 16B,inflight=100 "
                             "(also bytes=, connections=, echo) or hooks,redis; may be given "
                             "several times")
    parser.add_argument("--contenders", metavar="NAMES",
                        help="only these of the echo, e.g. floor,fastrpc")
    parser.add_argument("--rounds", type=int, help="rounds (5; quick: 1)")
    parser.add_argument("--seconds", type=float, help="measured in each run (1; quick: 0.5)")
    parser.add_argument("--warmup", type=float, help="before it, not measured (0.3; quick: 0.2)")
    parser.add_argument("--server-core", type=int, default=0)
    parser.add_argument("--client-core", type=int, default=1)
    parser.add_argument("--realtime", action="store_true",
                        help="server and client go before all other programs (needs root): for "
                             "figures from a machine that has other work to do")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE",
                        help="every sample, for programs (a relative path starts at the repository)")
    parser.add_argument("--prefix", type=pathlib.Path,
                        help="measure the fastrpc installed there (default: this tree, installed "
                             "to build/bench/prefix)")
    parser.add_argument("--peers", action="append", default=[], metavar="PREFIX",
                        help="where a peer is installed that apt has not: brpc")
    parser.add_argument("--build-dir", type=pathlib.Path, default=ROOT / "build" / "bench")
    parser.add_argument("--no-build", dest="build", action="store_false",
                        help="use the C++ programs as they are, and no Rust ones")
    parser.add_argument("--no-micro", dest="micro", action="store_false",
                        help="leave out the runtime's own figures")
    parser.add_argument("--list", action="store_true", help="show contenders and workloads")
    options = parser.parse_args()
    for name, full, quick in (("rounds", 5, 1), ("seconds", 1.0, 0.5), ("warmup", 0.3, 0.2)):
        if getattr(options, name) is None:
            setattr(options, name, quick if options.quick else full)
    cores = os.sched_getaffinity(0)
    if not {options.server_core, options.client_core} <= cores:
        parser.error(f"server and client need a core each; there are {sorted(cores)}")
    if options.list:
        show_list(options)
        sys.exit(0)
    return options


def show_list(options):
    print("contenders:")
    for contender in plan.contenders(options.build_dir / "bin", "(Rust)"):
        print(f"  {contender.name:18}{contender.title}")
    print("workloads:")
    for workload in plan.WORKLOADS:
        print(f"  echo, {workload}")
    for suite in known_suites(options.build_dir / "bin", "(Rust)"):
        print(f"  {suite}: {', '.join(entry.title for entry in suite.entries)}")


def build_cpp(options):
    prefix = options.prefix
    if prefix is None:
        prefix = options.build_dir / "prefix"
        build([ROOT / "scripts" / "install", prefix], DESTDIR="")
    build(["cmake", "-S", ROOT / "benches", "-B", options.build_dir,
           f"-DCMAKE_PREFIX_PATH={';'.join([str(prefix.resolve()), *options.peers])}"])
    build(["cmake", "--build", options.build_dir, "--parallel"])


def build_rust():
    """The paths of the native contender and of the runtime's figures, None where there is none."""
    programs = {name: None for name in ("native", "micro")}
    present = [name for name in programs if (ROOT / "benches" / f"{name}.rs").exists()]
    if present:
        command = ["cargo", "bench", "--no-run", "--message-format=json"]
        for name in present:
            command += ["--bench", name]
        for line in build(command).splitlines():
            message = json.loads(line) if line.startswith("{") else {}
            name = message.get("target", {}).get("name")
            if name in programs and message.get("executable"):
                programs[name] = message["executable"]
    return programs["native"], programs["micro"]


def build(command, **environment):
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True,
                          env={**os.environ, **environment})
    if done.returncode != 0:
        sys.exit(f"{done.stdout}\n{done.stderr}\nbench: this failed: {' '.join(map(str, command))}")
    return done.stdout


def known_suites(bin_dir, native):
    return [suite for part in (web, push, hooks) for suite in part.suites(bin_dir, native)]


def wanted_of(options, loads):
    wanted = [terms.split(",") for terms in options.only]
    return [load for load in loads
            if not wanted or any(load.matches(terms) for terms in wanted)]


def select_workloads(options):
    return wanted_of(options, plan.WORKLOADS)


def select_suites(options, bin_dir, native):
    """Returns the suites that can be measured; prints the names of the others."""
    suites = []
    for suite in wanted_of(options, known_suites(bin_dir, native)):
        if suite.missing:
            print(f"bench: without {suite}: no {', '.join(suite.missing)} here "
                  "(scripts/setup --bench)", file=sys.stderr)
            continue
        for entry in suite.entries:
            if entry.missing:
                print(f"bench: without {suite}, {entry.title}: its program is not built",
                      file=sys.stderr)
        if suite.present:
            suites.append(suite)
    return suites


def select_contenders(options, everyone):
    names = options.contenders.split(",") if options.contenders else None
    unknown = set(names or []) - {contender.name for contender in everyone}
    if unknown:
        sys.exit(f"bench: no such contender: {', '.join(sorted(unknown))}; see --list")
    chosen = [contender for contender in everyone if names is None or contender.name in names]
    absent = [contender for contender in chosen
              if not all(os.access(command[0], os.X_OK)
                         for command in (contender.server, contender.client))]
    for contender in absent:
        print(f"bench: without {contender.title}: its programs are not built", file=sys.stderr)
    present = [contender for contender in chosen if contender not in absent]
    if not present:
        sys.exit("bench: nobody is left to measure")
    return present


def run_all(loads, rounds, settings):
    results = {(load, entry.name): plan.Result([]) for load, entries in loads for entry in entries}
    each = settings.warmup + settings.seconds + START_SECONDS
    extra = sum(load.seconds * len(entries) * rounds for load, entries in loads)
    progress = Progress(len(results) * rounds, each + extra / max(1, len(results) * rounds))
    for load, entries in loads:
        try:
            with load.environment(settings) as environment:
                for round_number in range(1, rounds + 1):
                    for entry in entries:
                        progress.show(f"{load}, round {round_number} of {rounds}, {entry.title}")
                        run_one(results[load, entry.name], entry, environment, settings)
        except Failure as failure:
            for entry in entries:
                results[load, entry.name].failure = str(failure)
    progress.end()
    return results


def run_one(result, entry, environment, settings):
    try:
        result.samples.append(entry.run(environment, settings))
    except Failure as failure:
        result.samples.append(None)
        result.failure = str(failure)


def run_micro(program, settings):
    """The runtime's figures by name; each line the program prints is one JSON object."""
    if program is None or not os.access(program, os.X_OK):
        return {}
    print(f"bench: the runtime's own figures, {pathlib.Path(program).name} ...", file=sys.stderr)
    done = subprocess.run([program, "--core", str(settings.server_core)], text=True,
                          capture_output=True, timeout=120, preexec_fn=settings.prepare)
    if done.returncode != 0:
        sys.exit(f"{done.stderr}\nbench: this failed: {program}")
    figures = {}
    for line in done.stdout.splitlines():
        if line.startswith("{"):
            figures.update(json.loads(line))
    return figures


class Progress:
    """Progress: one line that is rewritten on a terminal; elsewhere a line for each tenth."""

    def __init__(self, total, each):
        self.total = total
        self.each = each
        self.done = 0
        self.began = time.monotonic()
        self.terminal = sys.stderr.isatty()
        print(f"bench: {total} runs, about {self._spell(total * each)}", file=sys.stderr)

    def show(self, what):
        if self.done:
            self.each = (time.monotonic() - self.began) / self.done
        left = self._spell((self.total - self.done) * self.each)
        line = f"[{self.done + 1}/{self.total}] {what}; {left} left"
        if self.terminal:
            print(f"\r{line}\x1b[K", end="", file=sys.stderr, flush=True)
        elif self.done * 10 // self.total != (self.done - 1) * 10 // self.total:
            print(line, file=sys.stderr, flush=True)
        self.done += 1

    def end(self):
        if self.terminal:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    @staticmethod
    def _spell(seconds):
        minutes, seconds = divmod(round(seconds), 60)
        return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def report(options, results, contenders, workloads, suites, micro):
    if workloads:
        print("\n".join(table.table(results, contenders, workloads)))
    for suite in suites:
        print("\n".join(table.suite(suite, results)))
    print("\n".join(table.micro(micro)))
    print("\n".join(table.targets(plan.TARGETS, results, micro)))

    loads = [load for result in results.values() for load in result.values("other_load")]
    load = sorted(loads)[len(loads) // 2] if loads else 0
    print(f"\nmedians of {options.rounds} round(s) of {options.seconds} s; "
          f"{processor()}, Linux {platform.release()}")
    if loads and load > 0.05:
        print(f"other programs took {load:.0%} of the two cores (at worst {max(loads):.0%}): "
              "read absolute figures with care")

    options.build_dir.mkdir(parents=True, exist_ok=True)
    for size in dict.fromkeys(workload.size for workload in workloads):
        of_size = [workload for workload in workloads if workload.size == size]
        for key, title in (("calls_per_second", "calls per second"),
                           ("server_cpu_us", "server CPU per call, us"),
                           ("p50_us", "median latency, us")):
            note = "Medians; the thin line spans the rounds. Each group has its own scale."
            picture = chart.chart(f"Echo of {of_size[0].size_text}: {title}", note, key, results, contenders, of_size)
            if picture is not None:
                path = options.build_dir / f"{key.replace('_', '-')}-{size}.svg"
                path.write_text(picture, encoding="utf-8")
                print(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)
    for suite in suites:
        title = f"{suite.name}: {suite.chart.heading}".capitalize()
        note = "Medians; the thin line spans the rounds."
        picture = chart.chart(title, note, suite.chart.key, results, suite.present, [suite])
        if picture is not None:
            path = options.build_dir / f"{suite.slug}.svg"
            path.write_text(picture, encoding="utf-8")
            print(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)
    if options.json is not None:
        write_json(options, results, micro)


def write_json(options, results, micro):
    data = {
        "machine": {"processor": processor(), "kernel": platform.release(),
                    "cores": os.cpu_count(), "time": time.strftime("%Y-%m-%dT%H:%M:%S%z")},
        "rounds": options.rounds, "seconds": options.seconds, "warmup": options.warmup,
        "micro": micro,
        "results": [
            {**load.facts, "contender": name, "failure": result.failure,
             "samples": result.samples,
             "median": {key: result.median(key) for key in result.keys()}}
            for (load, name), result in results.items()],
    }
    options.json.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def processor():
    with open("/proc/cpuinfo", encoding="utf-8") as cpuinfo:
        for line in cpuinfo:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
