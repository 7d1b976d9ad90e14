"""A small Hugging Face Hub over real HTTP: tokens, faults on demand and a log of requests; hub_routes.py answers."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from hub_routes import Answer, Request, answer
from hub_store import Refused, Store

WRITER, READER = "hf_testwriter0000000000000000000000", "hf_testreader0000000000000000000000"
"""Tokens that the server takes: one may write, one may not."""


@dataclass
class Fault:
    """What goes wrong with requests that match; used up after `times`."""

    method: str
    path: str
    """Regular expression that is searched in the path."""
    kind: str | int
    """A status; `drop` loses the request, `drop_answer` does it and loses the answer, `hold` waits until `release`."""
    times: int = 1
    headers: dict[str, str] = field(default_factory=dict)
    reached: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)


class Hub:
    """The server; use it as a context.

    Attributes:
        url: What HF_ENDPOINT is set to.
        log: (method, path, status, headers) of each request; the status is 0 where no answer was sent.
    """

    def __init__(self) -> None:
        self.store = Store()
        self.log: list[tuple[str, str, int, dict[str, str]]] = []
        self.faults: list[Fault] = []
        self._lock = threading.Lock()
        handler = type("BoundHandler", (Handler,), {"hub": self})
        self._server = Server(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> Hub:
        self._thread.start()
        return self

    def __exit__(self, *problem: object) -> None:
        for fault in self.faults:
            fault.release.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def fail(self, method: str, path: str, kind: str | int, times: int = 1, **headers: str) -> Fault:
        """Make the next requests that match fail; header names are given with `_` for `-`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        fault = Fault(method, path, kind, times, named)
        with self._lock:
            self.faults.append(fault)
        return fault

    def fault_for(self, method: str, path: str) -> Fault | None:
        """The first fault that a request meets, which is counted."""
        with self._lock:
            for fault in self.faults:
                if fault.times > 0 and fault.method == method and re.search(fault.path, path):
                    fault.times -= 1
                    return fault
        return None

    def requests(self, method: str, path: str) -> list[tuple[str, str, int, dict[str, str]]]:
        """Requests of the log that match."""
        return [entry for entry in list(self.log) if entry[0] == method and re.search(path, entry[1])]

    def files(self, name: str, revision: str = "main") -> dict[str, bytes]:
        """Path -> content of a dataset repository, to compare with what clients see."""
        commit = self.store.repository("datasets", name).commit(revision)
        return {path: self.store.blobs[file.sha256] for path, file in sorted(commit.files.items())}


class Server(ThreadingHTTPServer):
    """Threads that end with the process; clients that hang up are no errors of the test."""

    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of connections that a client (perhaps killed) closed; show everything else."""
        import sys

        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, format: str, *args: Any) -> None:
        """Requests go to `Hub.log`."""

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        path = unquote(parts.path)
        body = self._body()
        fault = self.hub.fault_for(self.command, path)
        status = 0
        try:
            if fault is not None and fault.kind == "hold":
                fault.reached.set()
                fault.release.wait(60)
            if fault is not None and fault.kind == "drop":
                fault.reached.set()
                return self._hang_up()
            reply = self._reply(parts.path, parts.query, body, fault)
            if fault is not None and fault.kind == "drop_answer":
                fault.reached.set()
                return self._hang_up()
            status = reply.status
            self._send(reply)
        finally:
            self.hub.log.append((self.command, path, status, dict(self.headers.items())))

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = _serve

    def _reply(self, raw_path: str, query: str, body: bytes, fault: Fault | None) -> Answer:
        try:
            if fault is not None and isinstance(fault.kind, int):
                fault.reached.set()
                raise Refused(fault.kind, "", "injected", fault.headers)
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            if token and token not in (WRITER, READER):
                raise Refused(401, "", "Invalid credentials in Authorization header")
            names = dict(parse_qsl(query))
            request = Request(self.command, raw_path, names, body, token == WRITER, bool(token), self.headers)
            return answer(self.hub.store, self.hub.url, request)
        except Refused as refused:
            headers = {"X-Error-Message": refused.message, **refused.headers}
            if refused.code:
                headers["X-Error-Code"] = refused.code
            return Answer(json.dumps({"error": refused.message}).encode(), refused.status, headers=headers)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        whole = b""
        while size := int(self.rfile.readline().strip() or b"0", 16):
            whole += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return whole

    def _send(self, reply: Answer) -> None:
        self.send_response(reply.status)
        for name, value in {
            "Content-Length": str(len(reply.content)),
            "Content-Type": reply.kind,
            **reply.headers,
        }.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.content)

    def _hang_up(self) -> None:
        """Close the connection without an answer."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


def wait_for(conditions: Sequence[threading.Event], seconds: float) -> bool:
    """Wait until one of several events is set."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if any(condition.is_set() for condition in conditions):
            return True
        time.sleep(0.005)
    return False
