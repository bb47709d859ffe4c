"""redis-cli: blocking commands, pipes, large values."""

import hashlib
import os
import random

from program import ProgramTest, inside
from servers import Redis, free_port


class RedisCli(ProgramTest):
    @classmethod
    def setUpClass(cls):
        cls.server = Redis()
        cls.addClassCleanup(cls.server.__exit__)
        cls.server.__enter__()

    def cli(self, *arguments):
        return "redis-cli", "-h", "127.0.0.1", "-p", self.server.port, *arguments

    def setUp(self):
        self.assert_ends(inside(*self.cli("FLUSHALL")))

    def test_commands(self):
        for command in ["PING"], ["SET", "key", "value"], ["GET", "key"], ["NO", "SUCH"]:
            self.assert_same(*self.cli(*command))
        self.assert_same("redis-cli", "-s", self.server.path("socket"), "GET", "key")

    def test_commands_from_standard_input(self):
        commands = "".join(f"SET key{i} {i}\nINCR key{i}\n" for i in range(500)) + "DBSIZE\n"
        ended = self.assert_same(*self.cli(), stdin=commands.encode())
        self.assertEqual(ended.out.split()[-1], b"500")

    def test_blocking_commands_yield(self):
        for command in ["BLPOP", "nobody", "1"], ["WAIT", "1", "1000"]:
            ended = self.assert_yields_when_hooked(*self.cli(*command), milliseconds=1000)
            self.assertIn(ended.out, (b"\n", b"0\n"))

    def test_repeats_after_pauses_yield(self):
        ended = self.assert_ends(inside(*self.cli("-r", 5, "-i", "0.3", "INCR", "counter")))
        self.assertEqual(ended.out.split(), b"1 2 3 4 5".split())
        self.assert_yields(ended, 300 * 4)

    def test_pipe_mode(self):
        with open(self.server.path("commands"), "w+b") as file:
            for i in range(100_000):
                file.write(b"*3\r\n$3\r\nSET\r\n$%d\r\nkey%d\r\n$%d\r\n%d\r\n"
                           % (len(str(i)) + 3, i, len(str(i)), i))
            file.seek(0)
            ended = self.assert_ends(inside(*self.cli("--pipe"), stdin=file))
        self.assertIn(b"errors: 0, replies: 100000", ended.out)
        self.assertEqual(inside(*self.cli("DBSIZE")).out, b"100000\n")
        # A pipe that is filled slowly is read by read(2), which suspends.
        self.assertEqual(len(self.assert_same(*self.cli("--scan")).out.split()), 100_000)

    def test_large_values(self):
        value = random.Random(1).randbytes(16 << 20)
        self.assert_ends(inside(*self.cli("-x", "SET", "large"), stdin=value))
        got = self.assert_ends(inside(*self.cli("--no-raw", "STRLEN", "large"))).out
        self.assertEqual(got, b"(integer) %d\n" % len(value))
        got = self.assert_ends(inside(*self.cli("GET", "large"))).out
        self.assertEqual(hashlib.sha256(got[:-1]).digest(), hashlib.sha256(value).digest())

    def test_a_copy_of_the_whole(self):
        self.assert_ends(inside(*self.cli("SET", "key", "value")))
        ended = self.assert_ends(inside(*self.cli("--rdb", self.server.path("copy"))))
        self.assertIn(b"Transfer finished with success", ended.out + ended.err)
        self.assertGreater(os.path.getsize(self.server.path("copy")), 0)

    def test_a_refused_connection(self):
        self.assert_same("redis-cli", "-h", "127.0.0.1", "-p", free_port(), "PING")
        self.assert_same("redis-cli", "-s", "/nonexistent", "PING")

    def test_a_killed_server(self):
        with Redis() as server, self.later(0.3, server.kill):
            ended = inside("redis-cli", "-p", server.port, "BLPOP", "nobody", "30")
        self.assert_ends(ended, 1)
        self.assertIn(b"Server closed the connection", ended.err)
        self.assert_yields(ended, 250)
