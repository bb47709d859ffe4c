"""Third-party servers, as private instances in folders of their own."""

import contextlib
import os
import pathlib
import socket
import subprocess
import tempfile
import time

from run import READY_SECONDS, Failure
from suite import find_program

NGINX = """
daemon off;
master_process off;
pid {folder}/pid;
error_log stderr;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{ default_type text/plain; return 200 "hello"; }}
    }}
}}
"""


@contextlib.contextmanager
def nginx(settings):
    """Runs one worker, without a master process. Yields its process and the port."""
    with _folder() as folder:
        port = _free_port()
        config = folder / "nginx.conf"
        config.write_text(NGINX.format(folder=folder, port=port), encoding="utf-8")
        with _started([find_program("nginx"), "-c", config, "-p", folder], folder, settings,
                      port) as server:
            yield server, port


@contextlib.contextmanager
def redis(settings):
    with _folder() as folder:
        port = _free_port()
        command = [find_program("redis-server"), "--bind", "127.0.0.1", "--port", str(port),
                   "--save", "", "--appendonly", "no", "--dir", folder, "--loglevel", "warning"]
        with _started(command, folder, settings, port) as server:
            yield server, port


@contextlib.contextmanager
def mariadb(settings):
    with _folder() as folder:
        port = _free_port()
        user = ["--user=root"] if os.geteuid() == 0 else []
        made = subprocess.run(
            [find_program("mariadb-install-db"), "--no-defaults", f"--datadir={folder}/data",
             "--auth-root-authentication-method=normal", "--skip-test-db", *user],
            capture_output=True, text=True)
        if made.returncode != 0:
            raise Failure(f"mariadb-install-db: {made.stdout[-300:]}{made.stderr[-300:]}")
        command = [find_program("mariadbd"), "--no-defaults", f"--datadir={folder}/data",
                   f"--socket={folder}/socket", f"--pid-file={folder}/pid", f"--port={port}",
                   "--bind-address=127.0.0.1", "--skip-grant-tables", "--max-connections=500",
                   "--performance-schema=off", "--innodb-buffer-pool-size=16M", *user]
        with _started(command, folder, settings, port) as server:
            yield server, port


@contextlib.contextmanager
def _started(command, folder, settings, port):
    """Starts a server on its core, waits until it accepts connections, and kills it at the end."""

    def prepare():
        settings.prepare()
        os.sched_setaffinity(0, {settings.server_core})

    with open(folder / "log", "wb") as log:
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                  preexec_fn=prepare)
    try:
        end = time.monotonic() + READY_SECONDS
        while not _takes_connections(port):
            if server.poll() is not None or time.monotonic() > end:
                said = (folder / "log").read_text(encoding="utf-8", errors="replace")
                raise Failure(f"{pathlib.Path(command[0]).name} did not start: {said[-300:]}")
            time.sleep(0.02)
        yield server
    finally:
        server.kill()
        server.wait()


@contextlib.contextmanager
def _folder():
    with tempfile.TemporaryDirectory(prefix="fastrpc-bench-") as folder:
        yield pathlib.Path(folder)


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _takes_connections(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
