"""memccapable, which tests a server, and the other programs of libmemcached."""

import re

from program import ProgramTest, inside
from servers import Memcached


class LibMemcached(ProgramTest):
    @classmethod
    def setUpClass(cls):
        cls.server = Memcached()
        cls.addClassCleanup(cls.server.__exit__)
        cls.server.__enter__()

    def test_memccapable(self):
        command = "memccapable", "-h", "127.0.0.1", "-p", self.server.port
        ended = self.assert_same(*command)
        results = re.findall(rb"^(.*?)\s+\[(.*)\]$", ended.out + ended.err, re.MULTILINE)
        self.assertEqual([name for name, result in results if result != b"pass"], [])
        self.assertEqual(len(results), 54)
        self.assertIn(b"All tests passed", ended.out)

    def test_values_there_and_back(self):
        servers = f"--servers=127.0.0.1:{self.server.port}"
        for size in 0, 1, 4096, 1_000_000:
            path = self.server.path(f"value{size}")
            value = bytes(i * i % 251 for i in range(size))
            with open(path, "wb") as file:
                file.write(value)
            self.assert_ends(inside("memccp", servers, path))
            ended = self.assert_same("memccat", servers, f"value{size}")
            self.assertTrue(ended.out.startswith(value))
        self.assert_same("memcstat", servers, "--args=settings")
