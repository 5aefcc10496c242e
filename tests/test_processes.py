"""No test may hang for what it started: the helpers do what they say, and nothing is started without a limit."""

import ast
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests import processes
from tests.processes import holds_in_a_fork, meanwhile, running, wait_for

FAMILY = (
    "import subprocess, sys, time\n"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
    "print(child.pid, flush=True)\n"
    "print('x' * 10**6, flush=True)\n"
    "print('told', flush=True)\n"
    "time.sleep(600)\n"
)


def test_behind_its_block_a_process_is_gone_with_its_children_and_nobody_had_to_read(tmp_path):
    said = tmp_path / "said"
    with running(sys.executable, "-c", FAMILY, said=said) as process:
        wait_for(lambda: said.read_text().endswith("told\n"))
        child = psutil.Process(int(said.read_text().split()[0]))
    assert process.returncode == -9
    wait_for(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_what_does_not_happen_meanwhile_fails(monkeypatch):
    monkeypatch.setattr(processes, "SECONDS", 0.1)
    with pytest.raises(AssertionError, match="meanwhile"), meanwhile(lambda: time.sleep(3)):
        pass


def test_a_check_in_a_fork_that_raises_or_hangs_comes_back_as_a_failure(monkeypatch):
    assert holds_in_a_fork(lambda: True)
    assert not holds_in_a_fork(lambda: False)
    assert not holds_in_a_fork(lambda: {}["a"])
    monkeypatch.setattr(processes, "SECONDS", 0.2)
    with pytest.raises(psutil.TimeoutExpired):
        holds_in_a_fork(lambda: time.sleep(600))


@pytest.mark.parametrize("path", sorted(Path(__file__).parent.rglob("*.py")), ids=lambda path: path.stem)
def test_nothing_is_started_without_a_limit(path):
    started = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    for call in started:
        name, given = ast.unparse(call.func), {word.arg for word in call.keywords}
        if name == "subprocess.run":
            assert "timeout" in given, f"line {call.lineno}: {name} without timeout"
        if name == "threading.Thread":
            assert "daemon" in given, f"line {call.lineno}: {name} without daemon"
        if path != Path(processes.__file__):
            assert name not in ("subprocess.Popen", "os.fork"), f"line {call.lineno}: tests.processes has {name}"
