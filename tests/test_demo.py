"""`make demo`'s script from its start to its end, on small videos, in a folder of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from shards import write_video
from tests.conftest import ROOT, moving_clip


@pytest.mark.slow
@pytest.mark.timeout(1100)
def test_the_demo_runs_to_its_end_on_small_videos_and_once_more_over_what_is_there(tmp_path):
    clips = tmp_path / "clips"
    clips.mkdir()
    for number in range(5):
        write_video(clips / f"clip {number}.mp4", moving_clip(number, frames=24, height=140, width=200), fps=25)
    # it works where it lies: everything it writes stays below this test's folder
    scripts = tmp_path / "clone" / "scripts"
    scripts.mkdir(parents=True)
    shutil.copy(ROOT / "scripts" / "demo.py", scripts)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    python_path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    at = {"PATH": path, "PYTHONPATH": python_path, "VIDIFF_CLIPS": str(clips), "VIDIFF_DEMO_MINUTES": "0.02"}
    for _ in range(2):
        command = [sys.executable, str(scripts / "demo.py")]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | at, timeout=500)
        assert done.returncode == 0, done.stdout + done.stderr
        board = tmp_path / "clone" / "reports" / "demo" / "board"
        assert (board / "index.html").is_file()
        assert "vidiff" in (board / "index.html").read_text()
        assert "done in" in done.stdout
