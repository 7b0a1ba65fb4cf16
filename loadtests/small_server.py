"""A container that answers HTTP/1.1 and costs real CPU time for each request: what tests and soak serve in place of a model."""

from __future__ import annotations

from typing import Final

SERVER: Final = """
import os, socket, threading, time
REVISION, WORK, FAIL = os.environ["SERVING_REVISION"], float(os.environ.get("WORK_MS", "5")) / 1000, os.environ.get("FAIL", "")
def answer(path):
    if path != b"/ready":
        end = time.process_time() + WORK
        while time.process_time() < end:
            pass
    status, body = "500 Failed" if FAIL and path != b"/ready" else "200 OK", REVISION + "\\n"
    headers = f"x-serving-revision: {REVISION}\\r\\ncontent-length: {len(body)}"
    return f"HTTP/1.1 {status}\\r\\n{headers}\\r\\n\\r\\n{body}".encode()
def serve(connection):
    with connection, connection.makefile("rb") as stream:
        while request := stream.readline():
            length = 0
            while (header := stream.readline()).strip():
                name, _, value = header.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
            stream.read(length)
            connection.sendall(answer(request.split()[1]))
listener = socket.create_server((os.environ["LISTEN_ADDRESS"], 8080), backlog=128)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"""
"""A program for `python -c`. Environment: SERVING_REVISION, which every answer carries; WORK_MS of CPU time (5);
FAIL, to answer with status 500; LISTEN_ADDRESS. `/ready` is always fine, and free.

Hundreds of pods run it, so it starts in a third of the time that `http.server` takes.
"""
