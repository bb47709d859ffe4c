"""psql and pgbench: queries, waits, COPY, TLS; many connections in one thread and in several."""

import re

from program import ProgramTest, inside
from servers import Postgres, free_port


class PostgresTest(ProgramTest):
    @classmethod
    def setUpClass(cls):
        cls.server = Postgres()
        cls.addClassCleanup(cls.server.__exit__)
        cls.server.__enter__()

    def address(self, host="127.0.0.1"):
        return "-h", host, "-p", self.server.port, "-U", "tester"

    def psql(self, *arguments):
        return "psql", "-X", *self.address(), "-d", "postgres", *arguments

    def query(self, text, *arguments):
        return self.psql("-A", "-t", *arguments, "-c", text)


class Psql(PostgresTest):
    def test_queries(self):
        for text in "SELECT 1", "SELECT NULL, 'a|b'; SELECT 2", "NO SUCH THING", "\\l":
            self.assert_same(*self.query(text))
        self.assert_same("psql", "-X", *self.address(self.server.folder), "-d", "postgres", "-c",
                         "SELECT current_user")

    def test_waits_yield(self):
        self.assert_yields_when_hooked(*self.query("SELECT pg_sleep(1)"), milliseconds=1000)

    def test_a_timeout_of_the_server(self):
        text = "SET statement_timeout = 600; SELECT pg_sleep(30)"
        ended = self.assert_same(*self.query(text))
        self.assert_yields(ended, 500)

    def test_tls(self):
        env = {"PGSSLMODE": "verify-full", "PGSSLROOTCERT": self.server.path("certificate.pem"),
               "PGHOST": "localhost"}
        query = ("psql", "-X", "-p", self.server.port, "-U", "tester", "-d", "postgres", "-At", "-c",
                 "SELECT ssl, repeat('x', 16000000) FROM pg_stat_ssl "
                 "WHERE pid = pg_backend_pid(); SELECT pg_sleep(1)")
        ended = self.assert_same(*query, env=env)
        self.assertEqual(ended.out[:2], b"t|")
        self.assert_yields(ended, 1000)

    def test_large_results(self):
        rows = "SELECT i, repeat(md5(i::text), 4) FROM generate_series(1, 100000) AS i"
        ended = self.assert_same(*self.query(rows))
        self.assertGreater(len(ended.out), 100_000 * 128)
        self.assert_same(*self.query(f"COPY ({rows}) TO STDOUT"))
        self.assert_same(*self.query(rows, "-v", "FETCH_COUNT=1000"))

    def test_copies_in(self):
        rows = b"".join(b"%d\t%d\n" % (i, i * i) for i in range(50_000))
        self.assert_ends(inside(*self.query("CREATE TABLE squares (i int, j bigint)")))
        copied = inside(*self.query("\\copy squares FROM STDIN"), stdin=rows)
        self.assertEqual(self.assert_ends(copied).out, b"COPY 50000\n")
        ended = self.assert_same(*self.query("COPY squares TO STDOUT"))
        self.assertTrue(ended.out == rows)

    def test_commands_from_standard_input(self):
        text = "".join(f"SELECT {i};\n\\echo after {i}\n" for i in range(300))
        self.assert_same(*self.psql("-A", "-t"), stdin=text.encode())
        self.assert_same(*self.psql("-c", "\\! echo shell; exit 3"))

    def test_a_refused_connection(self):
        self.assert_same("psql", "-h", "127.0.0.1", "-p", free_port(), "-d", "postgres")
        self.assert_same("psql", "-h", "/nonexistent", "-d", "postgres")
        self.assert_same("psql", *self.address(), "-d", "no_such")

    def test_a_killed_server(self):
        with Postgres() as server, self.later(1, server.kill):
            ended = inside("psql", "-X", "-h", "127.0.0.1", "-p", server.port, "-U", "tester",
                           "-d", "postgres", "-c", "SELECT pg_sleep(30)")
        self.assert_ends(ended, 2)
        self.assertIn(b"connection to server was lost", ended.err)
        self.assert_yields(ended, 500)


class Pgbench(PostgresTest):
    CLIENTS = 8

    def pgbench(self, *arguments):
        return "pgbench", *self.address(), *arguments, "postgres"

    def setUp(self):
        self.assert_ends(inside(*self.pgbench("-i", "-q", "-s", 1)))

    def run_bench(self, *arguments, clients=CLIENTS):
        """Checks that the server has seen each transaction that the client counted exactly once."""
        ended = self.assert_ends(inside(*self.pgbench("-n", "-c", clients, *arguments)))
        counted = int(re.search(rb"actually processed: (\d+)", ended.out)[1])
        self.assertGreater(counted, 0)
        self.assertIn(b"number of failed transactions: 0 ", ended.out)
        rows = inside(*self.query("SELECT count(*) FROM pgbench_history; SELECT sum(abalance) = "
                                  "(SELECT sum(delta) FROM pgbench_history) FROM pgbench_accounts"))
        self.assertEqual(rows.out, b"%d\nt\n" % counted)
        return ended

    def test_many_connections_in_one_thread(self):
        ended = self.run_bench("-j", 1, "-T", 2)
        self.assert_yields(ended, 2000)

    def test_each_protocol(self):
        for protocol in "extended", "prepared":
            with self.subTest(protocol):
                self.setUp()
                self.run_bench("-j", 1, "-t", 50, "-M", protocol)

    def test_a_connection_for_each_transaction(self):
        self.run_bench("-j", 1, "-t", 10, "-C")

    def test_a_rate_is_kept(self):
        ended = self.run_bench("-j", 1, "-T", 2, "--rate", 50)
        self.assert_yields(ended, 1500)

    def test_threads_of_the_programs_own(self):
        self.run_bench("-j", 4, "-t", 50)

    def test_waits_yield(self):
        with open(self.server.path("wait.sql"), "w", encoding="ascii") as file:
            file.write("SELECT pg_sleep(0.5);\n\\sleep 500 ms\n")
        self.assert_yields_when_hooked_alone(file.name)

    def assert_yields_when_hooked_alone(self, script):
        command = self.pgbench("-n", "-c", self.CLIENTS, "-j", 1, "-t", 1, "-f", script)
        self.assert_yields(self.assert_ends(inside(*command)), 1000)
        blocked = self.assert_ends(inside(*command, hooks=False)).report
        self.assertGreater(blocked.longest_slip_ms, 900, blocked)
