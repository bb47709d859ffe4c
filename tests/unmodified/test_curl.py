"""curl: HTTP and HTTPS, uploads and downloads, slow responses and none."""

import hashlib
import os
import random
import socket
import threading

from program import ProgramTest, inside
from servers import Nginx, Silent, free_port


class Curl(ProgramTest):
    @classmethod
    def setUpClass(cls):
        cls.server = Nginx()
        cls.addClassCleanup(cls.server.__exit__)
        cls.server.__enter__()
        cls.value = random.Random(3).randbytes(16 << 20)
        with open(cls.server.path("files/large"), "wb") as file:
            file.write(cls.value)
        with open(cls.server.path("files/text"), "w", encoding="ascii") as file:
            file.writelines(f"line {i}\n" for i in range(20_000))

    def curl(self, *arguments):
        # Without the progress meter, which shows times.
        return "curl", "-q", "-sS", "--cacert", self.server.path("certificate.pem"), *arguments

    def urls(self, path):
        return (f"http://127.0.0.1:{self.server.port}/{path}",
                f"https://localhost:{self.server.tls_port}/{path}")

    def test_downloads(self):
        for url in self.urls("large"):
            self.assertTrue(self.assert_same(*self.curl(url)).out == self.value)
        for url in self.urls("text"):
            self.assert_same(*self.curl("--compressed", url))
            self.assert_same(*self.curl("--range", "100-299", url, url))
        self.assert_same(*self.curl("--http1.1", self.urls("text")[1]))

    def test_answers_that_are_no_file(self):
        for url in self.urls("nothing"):
            self.assert_same(*self.curl(url))
            self.assert_same(*self.curl("--fail", url))
        for url in self.urls("moved/text"):
            self.assert_same(*self.curl("-L", url))

    def test_uploads(self):
        with open(self.server.path("upload"), "wb") as file:
            file.write(self.value)
        for number, url in enumerate(self.urls("up")):
            self.assert_ends(inside(*self.curl("-T", file.name, f"{url}{number}")))
            self.assertEqual(self.uploaded(f"up{number}"), hashlib.sha256(self.value).digest())
            piped = inside(*self.curl("-T", "-", f"{url}{number}"), stdin=self.value[:1 << 20])
            self.assert_ends(piped)
            self.assertEqual(self.uploaded(f"up{number}"),
                             hashlib.sha256(self.value[:1 << 20]).digest())

    def uploaded(self, name):
        with open(self.server.path(f"files/{name}"), "rb") as file:
            return hashlib.sha256(file.read()).digest()

    def test_slow_answers_yield(self):
        for url in self.urls("slow/text"):
            ended = self.assert_yields_when_hooked(*self.curl(url), milliseconds=1000)
            self.assertEqual(ended.out.count(b"\n"), 20_000)

    def test_a_limited_rate_yields(self):
        copy = self.server.path("copy")
        ended = inside(*self.curl("--limit-rate", "8M", self.urls("large")[0], "-o", copy))
        self.assert_ends(ended)
        self.assertEqual(os.path.getsize(copy), len(self.value))
        self.assert_yields(ended, 1000)

    def test_many_at_a_time(self):
        url = self.urls("slow/text")[1]
        places = [argument for i in range(10)
                  for argument in (url, "-o", self.server.path(f"copy{i}"))]
        ended = self.assert_ends(inside(*self.curl("-Z", "--parallel-max", 10, *places)))
        self.assert_yields(ended, 1000)
        self.assertLess(ended.report.ran_ms, 10_000)
        for i in range(10):
            with open(self.server.path(f"copy{i}"), "rb") as file:
                self.assertEqual(file.read().count(b"\n"), 20_000)

    def test_time_limits(self):
        with Silent() as silent:
            url = f"http://127.0.0.1:{silent.port}/"
            self.assert_yields_when_hooked(*self.curl("--max-time", 1, url), milliseconds=1000,
                                           status=28)
        slow = self.urls("slow/large")[0]
        ended = inside(*self.curl("--max-time", 1, "-o", "/dev/null", slow))
        self.assert_yields(self.assert_ends(ended, 28), 1000)

    def test_refused_and_broken_connections(self):
        port = free_port()
        self.assert_ends(inside(*self.curl(f"http://127.0.0.1:{port}/")), 7)
        self.assert_ends(inside(*self.curl("http://no.such.invalid/")), 6)
        self.assert_ends(inside("curl", "-q", "-sS", self.urls("text")[1]), 60)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            breaker = threading.Thread(target=self.break_connection, args=[listener])
            breaker.start()
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
            ended = inside(*self.curl(url))
            breaker.join()
        self.assert_ends(ended, 18)
        self.assertEqual(ended.out, b"part")

    @staticmethod
    def break_connection(listener):
        connection, _ = listener.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart")
