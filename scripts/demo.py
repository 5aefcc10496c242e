"""The main job on real input, as a user would type it: build, train, translate, score. Called by `make demo`."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATA, RUN, REPORT = Path("data/demo"), Path("runs/demo"), Path("reports/demo")
# a run of the bench wants a folder of its own
BOARD = REPORT / "board"
MINUTES = os.environ.get("VIDIFF_DEMO_MINUTES", "2")


def main() -> None:
    """Run the four commands, each shown before it starts."""
    os.chdir(ROOT)
    started = time.monotonic()
    source, licence = find_clips()
    if "--fresh" in sys.argv:
        for folder in (DATA, RUN, REPORT):
            shutil.rmtree(folder, ignore_errors=True)
    options = ["--recipe", "demo", "--licence", licence, "--out", DATA]
    step("1. build", ["datagen", "build", "--task", "dehaze", "--task", "recolor", "--from", source, *options])
    shell("datagen", "view", DATA)
    train = ["vidiff-train", "--data", DATA, "--config", "tiny", "--minutes", MINUTES, "--out", RUN, "--overwrite"]
    step("2. train", train)
    hazy = hazy_heldout_clip()
    clear = REPORT / "dehazed.mp4"
    step("3. translate", ["vidiff-translate", "--model", RUN, hazy, clear, "Remove the haze.", "--overwrite"])
    step("4. score", ["bench", "run", "--all", "--data", DATA, "--model", RUN, "--out", BOARD])
    print(f"\ndone in {(time.monotonic() - started) / 60:.1f} minutes")
    print(f"  leaderboard   {(BOARD / 'index.html').resolve()}")
    print(f"  training data {(DATA / 'view.html').resolve()}")
    print(f"  a held-out hazy clip {hazy.resolve()} and what the model made of it {clear.resolve()}")


def find_clips() -> tuple[str, str]:
    """Return the folder of real clips to use and their licence, or the procedural scenes."""
    given = os.environ.get("VIDIFF_CLIPS")
    if given:
        return given, "unknown"
    shared = ROOT.parent / "shared" / "data" / "clips"
    if shared.is_dir():
        return os.path.relpath(shared), "see MANIFEST.tsv beside the clips"
    print("no real clips (set VIDIFF_CLIPS to a folder of videos); using procedural scenes")
    return "scenes", "CC0-1.0"


def hazy_heldout_clip() -> Path:
    """Write a longer hazy clip of a video that was held out from training."""
    import json

    from configs import load
    from datagen import Recipe, build
    from shards import Dataset, probe, write_video

    rows = [row for split in ("test", "val") for row in Dataset(DATA).index("dehaze", split).to_pylist()]
    if not rows:
        sys.exit(f"no video of {DATA} was held out from training; give the demo more videos (VIDIFF_CLIPS)")
    video = json.loads((DATA / ".build" / "sources.json").read_text())[rows[0]["source_sha256"]]
    length, side = min(video["frames"], 48), 256
    source = ["scenes"] if video["kind"] == "scenes" else [video["locator"]]
    if source != ["scenes"]:
        info = probe(video["locator"])
        side = min(side, info.width, info.height)
    clip = [f"clip.frames={length}", "clip.per_video=1", f"clip.size={side}"]
    recipe = load(Recipe, "demo", [*clip, "tasks={dehaze: {}}"])
    heldout = REPORT / "heldout"
    build(recipe, heldout, sources=source, overwrite=True)
    dataset = Dataset(heldout)
    sample = dataset[dataset.keys("dehaze")[0]]
    path = REPORT / "hazy.mp4"
    write_video(path, sample.source, fps=sample.meta.fps)
    return path


def step(title: str, command: list[str | Path]) -> None:
    """Say what comes, then run it."""
    print(f"\n{title}", flush=True)
    shell(*command)


def shell(*command: str | Path) -> None:
    """Run a command as a user would type it; leave with its exit code if it fails."""
    words = [str(word) for word in command]
    print(f"$ {shlex.join(words)}", flush=True)
    code = subprocess.run(words, check=False).returncode
    if code:
        sys.exit(code)


if __name__ == "__main__":
    main()
