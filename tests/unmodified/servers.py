"""Private servers: real ones, each in a temporary folder and on ports of its own.

What a test that is killed leaves behind ends with the namespace (see isolated).
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from program import environment, find

READY_SECONDS = 60


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Server:
    """A server process: `with` starts it, waits until it is ready, and stops it."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="fastrpc-")
        self.port = free_port()
        self.process = None

    def __enter__(self):
        try:
            self.prepare()
            with open(self.path("log"), "ab") as log:
                self.process = subprocess.Popen(
                    self.command(), cwd=self.folder, env=environment(), user=self.user(),
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            self.wait_until_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.kill()
        shutil.rmtree(self.folder)

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def path(self, name):
        return os.path.join(self.folder, name)

    def prepare(self):
        """Prepares what the server needs."""

    def command(self):
        raise NotImplementedError

    def user(self):
        """Returns the user that it runs as, if not this one."""
        return None

    def is_ready(self):
        with socket.create_connection(("127.0.0.1", self.port), timeout=5):
            return True

    def set_up(self, *command):
        with open(self.path("log"), "ab") as log:
            subprocess.run(command, check=True, cwd=self.folder, env=environment(),
                           user=self.user(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def wait_until_ready(self):
        end = time.monotonic() + READY_SECONDS
        while True:
            try:
                if self.is_ready():
                    return
            except OSError:
                pass
            if self.process.poll() is not None or time.monotonic() > end:
                with open(self.path("log"), encoding="utf-8", errors="replace") as log:
                    raise RuntimeError(f"{type(self).__name__} did not start: {log.read()[-2000:]}")
            time.sleep(0.02)

    def answers(self, *command):
        done = subprocess.run(command, check=False, env=environment(), capture_output=True)
        return done.returncode == 0

    def certificate(self):
        """Makes a self-signed certificate for this machine, and its key."""
        self.set_up("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                    "-keyout", self.path("key.pem"), "-out", self.path("certificate.pem"))
        os.chmod(self.path("key.pem"), 0o600)


class Redis(Server):
    def command(self):
        return [find("redis-server"), "--port", str(self.port), "--bind", "127.0.0.1",
                "--unixsocket", self.path("socket"), "--save", "", "--appendonly", "no",
                "--dir", self.folder, "--daemonize", "no"]


class Memcached(Server):
    def command(self):
        return [find("memcached"), "-l", "127.0.0.1", "-p", str(self.port), "-U", "0",
                "-u", pwd.getpwuid(os.geteuid()).pw_name]


class MariaDb(Server):
    def prepare(self):
        self.certificate()
        self.set_up(find("mariadb-install-db"), "--no-defaults", f"--datadir={self.path('data')}",
                    f"--user={pwd.getpwuid(os.geteuid()).pw_name}",
                    "--auth-root-authentication-method=normal", "--skip-test-db",
                    "--skip-name-resolve")

    def command(self):
        return [find("mariadbd"), "--no-defaults", f"--datadir={self.path('data')}",
                f"--user={pwd.getpwuid(os.geteuid()).pw_name}", f"--port={self.port}",
                "--bind-address=127.0.0.1", f"--socket={self.path('socket')}",
                f"--pid-file={self.path('pid')}", "--skip-name-resolve",
                "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=32M",
                "--max-allowed-packet=64M", "--local-infile=1",
                f"--ssl-cert={self.path('certificate.pem')}", f"--ssl-key={self.path('key.pem')}"]

    def is_ready(self):
        return self.answers(find("mariadb-admin"), "--no-defaults", "--user=root",
                            f"--socket={self.path('socket')}", "ping")


class Postgres(Server):
    def user(self):
        # It refuses to run as root.
        return "postgres" if os.geteuid() == 0 else None

    def prepare(self):
        if self.user():
            shutil.chown(self.folder, self.user())
        self.certificate()
        self.set_up(find("initdb"), "--no-sync", "--auth=trust", "--username=tester",
                    "--encoding=UTF8", "--locale=C.UTF-8", "--pgdata", self.path("data"))

    def command(self):
        settings = {"fsync": "off", "listen_addresses": "127.0.0.1", "port": self.port,
                    "unix_socket_directories": self.folder, "ssl": "on",
                    "ssl_cert_file": self.path("certificate.pem"),
                    "ssl_key_file": self.path("key.pem")}
        return [find("postgres"), "-D", self.path("data"),
                *(f"--{name}={value}" for name, value in settings.items())]

    def kill(self):
        if self.process:
            # Its processes end with it, before the folder is removed.
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait()
            self.process = None

    def is_ready(self):
        return self.answers(find("pg_isready"), "-q", "-h", self.folder, "-p", str(self.port))


class Nginx(Server):
    def __init__(self):
        super().__init__()
        self.tls_port = free_port()

    def prepare(self):
        self.certificate()
        os.mkdir(self.path("files"))
        with open(self.path("nginx.conf"), "w", encoding="ascii") as config:
            config.write(f"""
                daemon off; master_process off; pid pid; error_log log;
                events {{ }}
                http {{
                  access_log off; client_max_body_size 64m; keepalive_requests 10000;
                  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
                  uwsgi_temp_path uwsgi; scgi_temp_path scgi;
                  server {{
                    listen 127.0.0.1:{self.port}; listen 127.0.0.1:{self.tls_port} ssl http2;
                    ssl_certificate certificate.pem; ssl_certificate_key key.pem;
                    root files; dav_methods PUT DELETE; gzip on; gzip_types *;
                    location /slow/ {{ alias files/; limit_rate 100k; }}
                    location /moved/ {{ rewrite ^/moved/(.*)$ /$1 redirect; }}
                  }}
                }}""")

    def command(self):
        return [find("nginx"), "-p", self.folder, "-e", "log", "-c", self.path("nginx.conf")]


class Silent(Server):
    """Accepts connections and never answers."""

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", self.port))
        return self

    def __exit__(self, *_):
        self.listener.close()
        shutil.rmtree(self.folder)
