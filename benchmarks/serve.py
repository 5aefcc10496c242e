"""Showing a folder's page to a browser on this machine, and to nobody else."""

from __future__ import annotations

import http.server
from collections.abc import Callable
from functools import partial
from pathlib import Path

from configs import DatasetError, OutputError

LOCAL = "127.0.0.1"


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: every clip would be a line."""


def serve(folder: Path, port: int, on_ready: Callable[[str], None]) -> None:
    """Serve the page in `folder` until Ctrl-C; `on_ready` is told its address. `port` 0 takes any that is free.

    Raises:
        DatasetError: there is no page.
        OutputError: the port is taken.
    """
    if not (folder / "index.html").is_file():
        raise DatasetError(
            f"{folder} has no index.html; 'bench run --out {folder}' or 'bench report {folder}' writes it"
        )
    try:
        server = http.server.ThreadingHTTPServer((LOCAL, port), partial(_Quiet, directory=str(folder)))
    except (OSError, OverflowError) as error:
        raise OutputError(
            f"cannot listen on {LOCAL}:{port}: {getattr(error, 'strerror', None) or error}; try --port 0"
        ) from None
    with server:
        on_ready(f"http://{LOCAL}:{server.server_address[1]}/")
        server.serve_forever()
