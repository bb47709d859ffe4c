"""Programs in plain threads make the same system calls with the library as without it."""

import glob
import os
import re
import subprocess
import tempfile
import unittest

from program import BUILD, PATIENCE, ProgramTest, environment, find
from servers import Postgres, Redis

# When malloc asks for more memory depends on its addresses, which differ each time.
MEMORY = {"brk", "madvise", "mmap", "mprotect", "mremap", "munmap"}
# Their results differ too.
PROCESSES = {"clone", "clone3", "getpid", "gettid", "set_tid_address"}


def may_trace():
    return subprocess.run(["strace", "-f", "true"], capture_output=True, check=False).returncode == 0


def trace(*command, env=None):
    """Returns the system calls of each thread, by thread id, with their results."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["strace", "-ff", "-o", os.path.join(folder, "calls"), *map(str, command)],
                       check=True, timeout=PATIENCE, capture_output=True, stdin=subprocess.DEVNULL,
                       env=environment(**(env or {})))
        threads = sorted(glob.glob(os.path.join(folder, "calls.*")),
                         key=lambda path: int(path.rpartition(".")[2]))
        return [read_calls(path) for path in threads]


def read_calls(path):
    with open(path, encoding="utf-8", errors="replace") as lines:
        calls = [re.fullmatch(r"(\w+)\((.*)\)\s+= (.*)\n", line) for line in lines]
    return [(call[1], call[2], "" if call[1] in PROCESSES else call[3]) for call in calls if call]


def after(first, calls):
    """Returns names and results from the first call that matches."""
    places = [place for place, (name, arguments, _) in enumerate(calls)
              if re.match(first, f"{name}({arguments}")]
    assert places, f"no {first} in {len(calls)} calls"
    return [(name, answer) for name, _, answer in calls[places[0]:] if name not in MEMORY]


@unittest.skipUnless(may_trace() or os.environ.get("CI") == "true", "ptrace is not permitted here")
class SystemCalls(ProgramTest):
    def test_each_call_in_plain_threads(self):
        bare = trace(os.path.join(BUILD, "tests", "plain_calls_bare"))
        wanted = [after(r"write\(-1, ", calls) for calls in bare]
        self.assertEqual(len(wanted), 2)
        self.assertGreater(min(map(len, wanted)), 50)
        for kind in "fastrpc", "static":
            with self.subTest(kind):
                linked = trace(os.path.join(BUILD, "tests", f"plain_calls_{kind}"))
                self.assertEqual([after(r"write\(-1, ", calls) for calls in linked], wanted)

    def assert_no_more_calls(self, *command):
        """Compares a client, from its first socket on, with the library preloaded and without."""
        command = [find(command[0]), *command[1:]]
        preload = {"LD_PRELOAD": os.path.join(BUILD, "libfastrpc.so.0")}
        # How often a client waits for its server depends on timing.
        for _ in range(10):
            bare, [loaded] = trace(*command), trace(*command, env=preload)
            self.assertTrue(any("libfastrpc" in call[1] for call in loaded))
            wanted, got = after(r"socket\(AF_INET", bare[0]), after(r"socket\(AF_INET", loaded)
            if got == wanted:
                return
        self.assertEqual(got, wanted)

    def test_clients(self):
        with Redis() as redis:
            self.assert_no_more_calls("redis-cli", "-h", "127.0.0.1", "-p", redis.port, "PING")
        with Postgres() as postgres:
            self.assert_no_more_calls("psql", "-X", "-h", "127.0.0.1", "-p", postgres.port, "-U",
                                      "tester", "-d", "postgres", "-c", "SELECT pg_sleep(0.2)")
