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

HELD_MODEL = """
import os, time
from unrolled.deploy.predictor import Predictor
answer = Predictor.predict_proba
def held(self, texts):
    while texts != ["warm up"] and not os.path.exists({file!r}):
        time.sleep(0.01)
    return answer(self, texts)
Predictor.predict_proba = held
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


def read_one(connection: socket.socket) -> tuple[int, dict[str, str], Any]:
    """Status, headers and document of one answer, byte by byte so that the next one stays unread."""
    found = b""
    while not found.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        assert byte, found
        found += byte
    start, *lines = found.decode("latin-1").lower().split("\r\n")[:-2]
    headers = dict(line.split(": ", 1) for line in lines)
    body = b""
    while len(body) < int(headers["content-length"]):
        body += connection.recv(int(headers["content-length"]) - len(body))
    return int(start.split()[1]), headers, json.loads(body)


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


def test_an_overload_is_turned_away_at_the_door(
    start_server: Callable[..., Running], exports: dict[str, Path], tmp_path: Path
) -> None:
    held = HELD_MODEL.format(file=str(tmp_path / "go on"))
    server = start_server(exports["linear"], "--max-queue", 1, "--max-batch", 1, before=held)
    body = b'{"texts": ["a"]}'
    start = ("Content-Type: application/json", f"Content-Length: {len(body)}")
    ask = head("POST /predict HTTP/1.1", "Host: localhost", *start) + body
    infer = head("POST /v2/models/linear-seed0/infer HTTP/1.1", "Host: localhost", *start) + body
    with contextlib.ExitStack() as stack:
        first, second, third = (stack.enter_context(connect(server)) for _ in range(3))
        first.sendall(ask)
        wait_for(server, "unrolled_requests_in_flight 2.0", 'unrolled_queue_texts{model="linear-seed0"} 0.0')
        second.sendall(ask)
        wait_for(server, "unrolled_requests_in_flight 3.0", 'unrolled_queue_texts{model="linear-seed0"} 1.0')
        for request, error in ((ask, dict), (infer, str), (ask, dict)):
            third.sendall(request)
            status, headers, found = read_one(third)
            assert (status, headers["retry-after"], type(found["error"])) == (503, "1", error)
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["cache-control"] == "no-store"
        # What decides who may ask comes first all the same, and health is told to everyone.
        for changed, status in (
            (ask.replace(b"localhost", b"evil.example"), 421),
            (ask.replace(b"Content-Type", b"Origin: http://evil.example\r\nContent-Type"), 403),
            (b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n", 200),
        ):
            with connect(server) as other:
                other.sendall(changed)
                assert read_one(other)[0] == status
        assert 'unrolled_requests_total{route="/predict",status="503"} 2.0' in read_metrics(server)
        assert "unrolled_refused_total 3.0" in read_metrics(server)
        (tmp_path / "go on").touch()
        assert [read_one(one)[0] for one in (first, second)] == [200, 200]
        # Who was turned away is let in on the same connection once there is room.
        third.sendall(ask)
        assert read_one(third)[0] == 200
    assert server.stop() == 0


def test_one_byte_at_a_time_is_a_request_too(server: Running) -> None:
    body = b'{"texts": ["a fine film"]}'
    request = head("POST /predict HTTP/1.1", "Host: localhost", "Content-Type: application/json")
    request = request[:-2] + f"Content-Length: {len(body)}\r\n\r\n".encode() + body
    with connect(server) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in request:
            connection.sendall(bytes([byte]))
        assert read_one(connection)[0] == 200
        # Two requests in one piece are answered one after the other.
        connection.sendall(request * 2)
        assert [read_one(connection)[0] for _ in range(2)] == [200, 200]


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
    start_server: Callable[..., Running], exports: dict[str, Path], kind: signal.Signals, tmp_path: Path
) -> None:
    server = start_server(exports["linear"], before=HELD_MODEL.format(file=str(tmp_path / "go on")))
    with ThreadPoolExecutor(2) as pool, connect(server):
        answers = [pool.submit(post, server, "/predict", {"texts": [text]}) for text in ("a", "b")]
        wait_for(server, "unrolled_requests_in_flight 3.0")
        server.process.send_signal(kind)
        with contextlib.suppress(OSError):
            while urllib.request.urlopen(server.address + "/health/live", timeout=5):
                pass
        (tmp_path / "go on").touch()
        assert [answer.result()[0] for answer in answers] == [200, 200]
    assert server.process.wait(20) == 0
    with pytest.raises(ConnectionRefusedError), connect(server):
        pass


def wait_for(server: Running, *lines: str) -> None:
    while not all(line in read_metrics(server) for line in lines):
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
def test_a_run_is_served_as_its_export_is_and_exported_once(
    start_server: Callable[..., Running],
    server: Running,
    linear_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("UNROLLED_CACHE", str(tmp_path))
    body = {"texts": ["a fine film", "dreadful"], "model": "linear-seed0"}
    expected = post(server, "/predict", body)
    for said in ("Exporting", "", "made anew"):
        again = start_server(linear_run)
        assert (said in again.said) if said else (again.said.count("\n") == 1)
        assert post(again, "/predict", body) == expected
        assert again.stop() == 0
        (export,) = (tmp_path / "exports").iterdir()
        if not said:
            (export / "model.onnx").write_bytes(b"damaged")
