"""The mariadb client: queries, waits, large results, TLS."""

import random

from program import ProgramTest, inside
from servers import MariaDb, free_port


class MariaDbClient(ProgramTest):
    @classmethod
    def setUpClass(cls):
        cls.server = MariaDb()
        cls.addClassCleanup(cls.server.__exit__)
        cls.server.__enter__()

    def client(self, *arguments, program="mariadb"):
        return (program, "--no-defaults", "--user=root", "--host=127.0.0.1",
                f"--port={self.server.port}", *arguments)

    def query(self, text, *arguments):
        return self.client("--batch", *arguments, "-e", text)

    def test_queries(self):
        for text in ("SELECT 1", "SELECT 1; SELECT NULL, 'a\\tb'; SHOW DATABASES",
                     "NO SUCH THING", "SELECT * FROM no.such"):
            self.assert_same(*self.query(text))
        self.assert_same(*self.client("--table", "-e", "SELECT 1 AS one"))
        self.assert_same("mariadb", "--no-defaults", "--user=root",
                         f"--socket={self.server.path('socket')}", "-e", "SELECT CURRENT_USER()")

    def test_waits_yield(self):
        self.assert_yields_when_hooked(*self.query("SELECT SLEEP(1)"), milliseconds=1000)

    def test_tls(self):
        tls = "--ssl", f"--ssl-ca={self.server.path('certificate.pem')}"
        text = "SELECT SLEEP(1), VARIABLE_VALUE <> '' FROM information_schema.SESSION_STATUS " \
               "WHERE VARIABLE_NAME = 'Ssl_cipher'"
        ended = self.assert_yields_when_hooked(*self.query(text, *tls, "--skip-column-names"),
                                               milliseconds=1000)
        self.assertEqual(ended.out, b"0\t1\n")
        self.assert_same(*self.query("SELECT REPEAT('x', 16 << 20)", *tls))

    def test_large_results(self):
        rows = "SELECT seq, REPEAT(MD5(seq), 4) FROM mysql.seq_1_to_100000"
        for arguments in [], ["--quick"], ["--compress"]:
            ended = self.assert_same(*self.query(rows, *arguments))
            self.assertGreater(len(ended.out), 100_000 * 128)

    def test_a_transaction_from_standard_input(self):
        values = random.Random(2)
        rows = [(i, values.randbytes(values.choice([0, 1, 100, 5000])).hex()) for i in range(500)]
        text = "CREATE OR REPLACE DATABASE one; USE one; CREATE TABLE t (i INT, b LONGBLOB);\n" \
               "START TRANSACTION;\n" + "".join(
                   f"INSERT INTO t VALUES ({i}, x'{value}');\n" for i, value in rows) + "COMMIT;\n"
        self.assert_ends(inside(*self.client(), stdin=text.encode()))
        ended = self.assert_same(*self.query("SELECT i, LOWER(HEX(b)) FROM one.t ORDER BY i"))
        found = [tuple(line.split("\t")) for line in ended.out.decode().splitlines()[1:]]
        self.assertEqual(found, [(str(i), value) for i, value in rows])
        self.assert_same(*self.client("--skip-dump-date", "one", program="mariadb-dump"))

    def test_local_files(self):
        with open(self.server.path("rows"), "w", encoding="ascii") as file:
            file.writelines(f"{i}\t{i * i}\n" for i in range(50_000))
        text = "CREATE OR REPLACE DATABASE two; CREATE TABLE two.t (i INT, j BIGINT);" \
               f"LOAD DATA LOCAL INFILE '{file.name}' INTO TABLE two.t; SELECT SUM(j) FROM two.t"
        ended = self.assert_ends(inside(*self.query(text, "--local-infile")))
        self.assertEqual(int(ended.out.split()[-1]), sum(i * i for i in range(50_000)))

    def test_a_refused_connection(self):
        self.assert_same("mariadb", "--no-defaults", "-h", "127.0.0.1", f"--port={free_port()}")
        self.assert_same("mariadb", "--no-defaults", "--socket=/nonexistent")
        self.assert_same(*self.client("--user=nobody", "--password=wrong"))

    def test_a_killed_query_and_server(self):
        kill = "SELECT SLEEP(0.5); KILL CONNECTION_ID()"
        self.assert_same(*self.query(kill))
        with MariaDb() as server, self.later(1, server.kill):
            ended = inside("mariadb", "--no-defaults", "--user=root", "--skip-ssl",
                           f"--socket={server.path('socket')}", "-e", "SELECT SLEEP(30)")
        self.assert_ends(ended, 1)
        self.assertIn(b"ERROR 2013", ended.err)
        self.assert_yields(ended, 500)
