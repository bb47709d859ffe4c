"""Runs programs, unmodified and with main() in a coroutine (main_in_coroutine.cc)."""

import contextlib
import dataclasses
import glob
import os
import shutil
import subprocess
import tempfile
import threading
import unittest

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.path.join(ROOT, "build", "release")
PRELOAD = ":".join([os.path.join(BUILD, "libfastrpc.so.0"),
                    os.path.join(BUILD, "tests", "libmain_in_coroutine.so")])

# Seconds after which a program counts as hung.
PATIENCE = 60


@dataclasses.dataclass
class Report:
    """What the ticker beside main() reported."""

    hooks: int
    ticks: int
    period_ms: int
    ran_ms: float
    longest_slip_ms: float


@dataclasses.dataclass
class Ended:
    """How a program ended; without a report if it was not in a coroutine, or never called exit()."""

    status: int
    out: bytes
    err: bytes
    report: Report = None

    def outcome(self):
        return self.status, self.out, self.err


def find(name):
    """Returns a program's path; for PostgreSQL's that of the program, not of its wrapper."""
    places = sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"), reverse=True)
    path = places[0] if places else shutil.which(name)
    if path is None:
        raise FileNotFoundError(f"no {name} here: scripts/setup --test installs it")
    return path


def environment(**more):
    # Without this user's settings, and with messages in English.
    return {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LC_ALL": "C.UTF-8", **more}


def bare(*command, stdin=None, env=None):
    """Runs a program unmodified."""
    arguments = [find(command[0]), *map(str, command[1:])]
    source = {"input": stdin} if isinstance(stdin, bytes) else {"stdin": stdin or subprocess.DEVNULL}
    done = subprocess.run(arguments, **source, capture_output=True, timeout=PATIENCE, check=False,
                          env=environment(**(env or {})))
    return Ended(done.returncode, done.stdout, done.stderr)


def inside(*command, stdin=None, env=None, hooks=True):
    """Runs a program with its main() in a coroutine."""
    with tempfile.NamedTemporaryFile() as file:
        ended = bare(*command, stdin=stdin, env=coroutine_environment(file.name, hooks, env))
        reports = read_reports(file.name)
    assert len(reports) <= 1, reports
    ended.report = reports[0] if reports else None
    return ended


def coroutine_environment(report, hooks=True, more=None):
    return {"LD_PRELOAD": PRELOAD, "MAIN_IN_COROUTINE_REPORT": report,
            "MAIN_IN_COROUTINE_HOOKS": str(int(hooks)), **(more or {})}


def read_reports(path):
    with open(path, encoding="ascii") as lines:
        return [read_report(line) for line in lines]


def read_report(line):
    values = dict(word.split("=") for word in line.split())
    return Report(**{field.name: field.type(values[field.name])
                     for field in dataclasses.fields(Report)})


class ProgramTest(unittest.TestCase):
    """Assertions about programs that run in a coroutine."""

    maxDiff = 2000

    @contextlib.contextmanager
    def later(self, seconds, act):
        """Calls a function after a delay, in a thread."""
        timer = threading.Timer(seconds, act)
        timer.start()
        yield
        timer.join()

    def assert_ends(self, ended, status=0):
        self.assertEqual(ended.status, status, ended.err)
        self.assertIsNotNone(ended.report, "main() did not run in a coroutine")
        return ended

    def assert_same(self, *command, stdin=None, env=None):
        """Runs it unmodified and in a coroutine, and checks that there is no difference."""
        wanted = bare(*command, stdin=stdin, env=env)
        got = inside(*command, stdin=stdin, env=env)
        self.assertEqual(got.status, wanted.status, got.err)
        self.assertEqual(got.err, wanted.err)
        # Not assertEqual: a diff of megabytes takes minutes.
        self.assertTrue(got.out == wanted.out, (got.out[:200], wanted.out[:200]))
        self.assertIsNotNone(got.report, "main() did not run in a coroutine")
        return got

    def assert_yields(self, ended, milliseconds):
        """Checks that the ticker ran all the while, for at least that time."""
        report = ended.report
        self.assertGreaterEqual(report.ran_ms, milliseconds, report)
        # A busy machine delays ticks a little; a blocking call delays them by the whole wait.
        self.assertLess(report.longest_slip_ms, milliseconds / 2, report)
        self.assertGreater(report.ticks, report.ran_ms / report.period_ms / 10, report)

    def assert_yields_when_hooked(self, *command, milliseconds, status=0):
        """Checks a command that waits that long: the ticker runs, and without hooks it does not."""
        hooked = self.assert_ends(inside(*command), status)
        self.assert_yields(hooked, milliseconds)
        blocked = self.assert_ends(inside(*command, hooks=False), status)
        self.assertEqual(blocked.report.hooks, 0)
        self.assertGreater(blocked.report.longest_slip_ms, milliseconds * 0.9, blocked.report)
        self.assertEqual(hooked.outcome()[:2], blocked.outcome()[:2])
        return hooked
