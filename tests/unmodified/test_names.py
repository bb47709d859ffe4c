"""Lookups of hosts: off the worker, several at a time, as nsswitch.conf and /etc/hosts say."""

import os
import socket
import struct
import subprocess
import tempfile
import threading
import unittest

from program import BUILD, PATIENCE, environment

LOOK_UP = os.path.join(BUILD, "tests", "look_up")
FUNCTIONS = 8
# From netdb.h and errno.h.
EAI_SYSTEM, TRY_AGAIN, ECANCELED = -11, 2, 125


class Names:
    """A DNS server on port 53 of this namespace: name7.test is 10.0.0.7, after a delay or never."""

    def __init__(self, delay):
        self.delay = delay
        self.asked = 0
        self.ends = False
        self.thread = threading.Thread(target=self.serve)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(0.05)

    def __enter__(self):
        self.socket.bind(("127.0.0.1", 53))
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ends = True
        self.thread.join()
        self.socket.close()

    def serve(self):
        while not self.ends:
            try:
                query, peer = self.socket.recvfrom(4096)
            except TimeoutError:
                continue
            self.asked += 1
            if self.delay is not None:
                threading.Timer(self.delay, self.answer, (query, peer)).start()

    def answer(self, query, peer):
        labels, place = [], 12
        while query[place]:
            labels.append(query[place + 1:place + 1 + query[place]].decode())
            place += 1 + query[place]
        question = query[12:place + 5]
        (kind,) = struct.unpack(">H", query[place + 1:place + 3])
        data = None
        if kind == 1 and labels[-1] == "test":
            data = bytes([10, 0, 0, int(labels[0][4:])])
        elif kind == 12:
            name = f"name{labels[0]}".encode()
            data = bytes([len(name)]) + name + b"\4test\0"
        answer = b"" if data is None else struct.pack(">HHHIH", 0xc00c, kind, 1, 60, len(data)) + data
        head = query[:2] + struct.pack(">HHHHH", 0x8180, 1, int(data is not None), 0, 0)
        try:
            self.socket.sendto(head + question + answer, peer)
        except OSError:
            pass


class LookUps(unittest.TestCase):
    maxDiff = 2000

    def run_with(self, *arguments, services="files dns", hosts="127.0.0.1 localhost\n"):
        """Runs the program with these files of /etc replaced."""
        files = {"resolv.conf": "nameserver 127.0.0.1\noptions timeout:30 attempts:1\n",
                 "nsswitch.conf": f"hosts: {services}\n", "hosts": hosts}
        with tempfile.TemporaryDirectory() as folder:
            script = "set -e\n"
            for name, text in files.items():
                path = os.path.join(folder, name)
                with open(path, "w", encoding="ascii") as file:
                    file.write(text)
                script += f"mount --bind {path} /etc/{name}\n"
            script += 'exec "$@"\n'
            done = subprocess.run(["unshare", "--mount", "sh", "-c", script, "sh", LOOK_UP,
                                   *map(str, arguments)], capture_output=True, timeout=PATIENCE,
                                  env=environment(), text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.splitlines()

    def test_many_at_a_time(self):
        with Names(delay=0.5) as names:
            *found, end = self.run_with("many", 40)
        self.assertEqual(found, [f"name{i}.test 10.0.0.{i}" for i in range(1, 41)])
        self.assertGreaterEqual(names.asked, 40)
        _, took, _, late = end.split()
        # One after the other they would take 20 seconds, and block their worker.
        self.assertLess(float(took), 10_000)
        self.assertGreaterEqual(float(took), 500)
        self.assertLess(float(late), 400)

    def test_a_canceled_one_ends_at_once(self):
        with Names(delay=None):
            ended = self.run_with("cancel")
        self.assertEqual(len(ended), FUNCTIONS)
        said = [line.rpartition(" after ")[0] for line in ended]
        by_name = f"none {TRY_AGAIN}"
        with_error = f"none {ECANCELED} {TRY_AGAIN}"
        system = f"none {EAI_SYSTEM} {ECANCELED}"
        self.assertEqual(said, [system, by_name, by_name, with_error, with_error, by_name,
                                with_error, system])
        for line in ended:
            self.assertLess(float(line.split()[-1]), 5_000, ended)

    def test_files_and_services_are_the_systems(self):
        hosts = "127.0.0.1 localhost\n10.0.0.9 name9.test\n"
        with Names(delay=0.01) as names:
            listed = self.run_with("one", "name9.test", hosts=hosts)
            self.assertEqual(names.asked, 0)
            asked = self.run_with("one", "name9.test", services="dns", hosts=hosts)
            self.assertGreater(names.asked, 0)
            missing = self.run_with("one", "name9.test", services="files")
        for lines in listed, asked:
            self.assertEqual(lines, ["name9.test 10.0.0.9 | name9.test 10.0.0.9"] * FUNCTIONS)
        self.assertEqual(len(missing), FUNCTIONS)
        for line in missing:
            bare, hooked = line.split(" | ")
            self.assertTrue(bare.startswith("none "), line)
            self.assertEqual(hooked.split()[:2], bare.split()[:2], line)
