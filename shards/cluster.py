"""Starting Ray, or joining one that runs, the same way for building and for scoring."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@contextlib.contextmanager
def ray_cluster(workers: int, address: str | None = None, *, threads: int = 1) -> Iterator[None]:
    """Hold a Ray of `workers` CPUs on this machine, or the running cluster that `address` or RAY_ADDRESS names.

    A Ray that this process has already stays as it is. `threads`: of the numeric libraries in each worker.
    """
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray

    started_here = not ray.is_initialized()
    if started_here:
        # `local`: else Ray would join whatever cluster happens to run on this machine, and refuse our number of CPUs
        ours: dict[str, Any] = {"address": "local", "num_cpus": workers, "include_dashboard": False}
        named = address or os.environ.get("RAY_ADDRESS")
        options: dict[str, Any] = {"address": named} if named else ours
        environment = {"env_vars": dict.fromkeys(_THREADS, str(threads))}
        terminate = signal.getsignal(signal.SIGTERM)
        try:
            ray.init(logging_level=logging.ERROR, log_to_driver=False, runtime_env=environment, **options)
        except SystemExit:
            # that handler again, while Ray was starting
            ray.shutdown()
            raise KeyboardInterrupt from None
        # Ray puts a handler of its own in the place of ours, which ends the process with exit code 15
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        if started_here:
            ray.shutdown()
