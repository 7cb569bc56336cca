"""``unrolled serve`` as a process: its address, its sockets, its end."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.server.conftest import Running

SLOW_MODEL = """
import time
from unrolled.deploy.predictor import Predictor
answer = Predictor.predict_proba
def slow(self, texts):
    if texts != ["warm up"]:
        time.sleep(1.5)
    return answer(self, texts)
Predictor.predict_proba = slow
"""
IMPATIENT = """
import dataclasses
from unrolled.deploy.server import connection, settings
connection._HEADER_SECONDS = 0.8
made = settings.ServerSettings.__init__
def impatient(self, **options):
    made(self, **options | {"receive_seconds": 0.8})
settings.ServerSettings.__init__ = impatient
"""


@contextlib.contextmanager
def connect(server: Running) -> Iterator[socket.socket]:
    with socket.create_connection((server.host, server.port), timeout=30) as connection:
        yield connection


def read_all(connection: socket.socket) -> bytes:
    """Everything until the server closes the connection."""
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65_536):
            parts.append(part)
    return b"".join(parts)


def post(server: Running, path: str, body: Any) -> tuple[int, Any]:
    request = urllib.request.Request(
        server.address + path, json.dumps(body).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.status, json.load(answer)


def test_it_answers_on_loopback_where_it_says(server: Running) -> None:
    assert server.host == "127.0.0.1"
    status, found = post(server, "/predict", {"texts": ["a fine film"]})
    assert status == 200
    assert [one["model"] for one in found["results"]] == [
        "lstm-seed0",
        "linear-seed0",
        "cnn_gru-seed0",
        "gru-seed0",
    ]


def head(*lines: str) -> bytes:
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode()


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (("GET / HTTP/1.0",), 421),
        (("GET / HTTP/1.1",), 400),
        (("GET / HTTP/1.1", "Host: evil.example"), 421),
        (("GET / HTTP/1.1", "Host: localhost", "Host: evil.example"), 400),
        (("GET http://evil.example/ HTTP/1.1", "Host: evil.example"), 421),
        (("nonsense",), 400),
        (("GET / HTTP/1.1", "Host: localhost", "X: " + "a" * 2**20), 400),
        (("GET / HTTP/1.1", "Host: localhost", "Connection: close"), 200),
    ],
)
def test_heads_on_the_wire(server: Running, request_head: tuple[str, ...], status: int) -> None:
    with connect(server) as connection:
        connection.sendall(head(*request_head))
        assert read_all(connection).startswith(f"HTTP/1.1 {status} ".encode())


@pytest.mark.parametrize("chunked", [False, True])
def test_too_large_a_body_is_cut_short_on_the_wire(server: Running, chunked: bool) -> None:
    size = "Transfer-Encoding: chunked" if chunked else "Content-Length: 900000000"
    with connect(server) as connection:
        start = ("POST /predict HTTP/1.1", "Host: localhost", "Content-Type: application/json", size)
        connection.sendall(head(*start))
        with contextlib.suppress(ConnectionError):
            for _ in range(40):
                connection.sendall(b"10000\r\n" + b" " * 65_536 + b"\r\n" if chunked else b" " * 65_536)
        answer = read_all(connection)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in answer


def test_slow_clients_are_closed(start_server: Callable[..., Running], exports: dict[str, Path]) -> None:
    server = start_server(exports["linear"], before=IMPATIENT)
    with connect(server) as idle, connect(server) as slow_head, connect(server) as slow_body:
        slow_head.sendall(b"GET / HTTP/1.1\r\nHost: local")
        start = ("POST /predict HTTP/1.1", "Host: localhost", "Content-Type: application/json")
        slow_body.sendall(head(*start, "Content-Length: 100") + b"{")
        assert read_all(idle) == b""
        assert read_all(slow_head) == b""
        assert read_all(slow_body).startswith(b"HTTP/1.1 408 ")
    assert post(server, "/predict", {"texts": ["a"]})[0] == 200


@pytest.mark.slow
def test_drip_feeding_clients_are_closed_within_15_seconds_and_stop_nobody(
    start_server: Callable[..., Running], exports: dict[str, Path]
) -> None:
    server = start_server(exports["linear"])
    request = head(
        "POST /predict HTTP/1.1",
        "Host: localhost",
        "Content-Type: application/json",
        "Content-Length: 99",
    )
    with contextlib.ExitStack() as stack:
        for _ in range(500):
            stack.enter_context(connect(server))
        dripping = {stack.enter_context(connect(server)): number % 2 for number in range(200)}
        started, sent, slowest = time.monotonic(), 0, 0.0
        for connection, sends_body in dripping.items():
            if sends_body:
                connection.sendall(request)
            connection.setblocking(False)
        while dripping and time.monotonic() - started < 20:
            for connection, sends_body in list(dripping.items()):
                try:
                    connection.send(b" " if sends_body else request[sent : sent + 1])
                    gone = connection.recv(65_536) is not None
                except BlockingIOError:
                    gone = False
                except ConnectionError:
                    gone = True
                if gone:
                    del dripping[connection]
            before = time.monotonic()
            assert urllib.request.urlopen(server.address + "/health/live", timeout=5).status == 200
            slowest = max(slowest, time.monotonic() - before)
            sent += 1
            time.sleep(1)
        assert not dripping
        assert time.monotonic() - started < 16
        assert slowest < 1
    assert server.stop() == 0


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGINT])
def test_answers_under_way_finish_and_it_ends_with_0(
    start_server: Callable[..., Running], exports: dict[str, Path], kind: signal.Signals
) -> None:
    server = start_server(exports["linear"], before=SLOW_MODEL)
    with ThreadPoolExecutor(2) as pool, connect(server):
        answers = [pool.submit(post, server, "/predict", {"texts": [text]}) for text in ("a", "b")]
        while "unrolled_requests_in_flight 3.0" not in read_metrics(server):
            pass
        server.process.send_signal(kind)
        assert [answer.result()[0] for answer in answers] == [200, 200]
    assert server.process.wait(20) == 0
    with pytest.raises(ConnectionRefusedError), connect(server):
        pass


def read_metrics(server: Running) -> str:
    with urllib.request.urlopen(server.address + "/metrics", timeout=30) as answer:
        return str(answer.read().decode())


def test_a_taken_port_is_one_line_and_status_4(server: Running, exports: dict[str, Path]) -> None:
    command = [
        sys.executable,
        "-m",
        "unrolled.cli",
        "serve",
        str(exports["linear"]),
        "--port",
        str(server.port),
    ]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert run.returncode == 4
    assert run.stderr.count("\n") == 1
    assert f"127.0.0.1:{server.port}" in run.stderr


def test_no_model_and_no_export_are_told_apart(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "unrolled.cli", "serve"]
    assert subprocess.run(command, capture_output=True, check=False, timeout=60).returncode == 2
    run = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, check=False, timeout=60)
    assert run.returncode == 3
    assert "Traceback" not in run.stderr


@pytest.mark.slow
def test_a_run_is_served_as_its_export_is(
    start_server: Callable[..., Running], server: Running, linear_run: Path
) -> None:
    body = {"texts": ["a fine film", "dreadful"], "model": "linear-seed0"}
    assert post(start_server(linear_run), "/predict", body) == post(server, "/predict", body)
