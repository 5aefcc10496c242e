"""The `datagen` command: what it says of options, settings and instructions."""

import re
import shutil
import subprocess
import sys
import time
from fractions import Fraction

import pytest

import shards.tasks
from configs import ConfigError, load
from datagen import Recipe, commands
from datagen.replay import replay
from datagen.tasks import builder
from shards import Dataset, get_task, verify, write_video
from tests.conftest import moving_clip
from tests.datagen.conftest import SMALL, command
from tests.datagen.layout_files import RECIPE, frames, masks


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--task", "dehase"], "did you mean 'dehaze'"),
        (["--set", "clip.sise=3"], "did you mean 'size'"),
        (["--set", "tasks.dehaze.airlihgt=[0,1]"], "did you mean 'airlight'"),
        (["--set", "clip.size=big"], "clip.size"),
        (["--recipe", "defualt"], "did you mean 'default'"),
        (["--from", "/nowhere/at/all"], "no such file, folder or pattern"),
        (["--from", "{folder}/text.mp4"], "no usable clip"),
        (["--from", "{folder}/black.mp4", "--set", "clip.size=48", "--workers", "0"], "black"),
        (["--out", "{folder}/text.mp4"], "is a file"),
        (["--out", "/proc/nothing"], "cannot write"),
        (["--tusk", "dehaze"], "no such option: --tusk"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(video_folder, tmp_path, arguments, words):
    given = [str(argument).format(folder=video_folder) for argument in arguments]
    done = command(
        "build",
        "--set",
        "clip.frames=4",
        "--set",
        "scenes.count=2",
        *(["--out", tmp_path / "o"] if "--out" not in given else []),
        *given,
    )
    assert done.returncode == 2, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert words in lines[0]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["build"], "give --out FOLDER, the folder to write the dataset to"),
        (["view", "x", "--limit", "0"], "--limit: input should be greater than or equal to 1"),
        (["merge", "a"], "missing option '--out' / '-o'"),
        (["view", "a", "b"], "got unexpected extra argument(s) (b)"),
        (["bild"], "no such command 'bild'; did you mean 'build'?"),
    ],
)
def test_wrong_use_is_said_as_every_other_error(arguments, line):
    done = command(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.split(" (see ")[0] == f"error: {line}"


def test_a_pattern_that_the_shell_has_expanded_is_told_from_wrong_options(tmp_path):
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.mp4").touch()
    code = f"{sys.executable} -m datagen build --from *.mp4 --out out"
    done = subprocess.run(["sh", "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path, timeout=120)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "left over: b.mp4 and 1 more; repeat --from" in done.stderr
    assert "or quote a pattern, as in --from 'DIR/*.mp4', so that" in done.stderr
    assert "left over: c.mp4; " in command("replay", tmp_path, "key", "--from", "b.mp4", "c.mp4").stderr
    assert "Usage: datagen build [OPTIONS]\n" in command("build", "--help").stdout.replace("python -m ", "")


def test_help_answers_at_once():
    started = time.monotonic()
    assert command("--help").returncode == 0
    loaded = command("build", "--help")
    assert loaded.returncode == 0
    assert time.monotonic() - started < 3
    code = (
        "import sys, datagen.cli; sys.exit(any(m in sys.modules for m in ('torch', 'ray', 'numpy', 'cv2', 'pandas')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=120).returncode == 0


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("tasks={dehaze: {transmission: [0.9, 0.1]}}", "must not exceed"),
        ("tasks={dehaze: {transmission: [0, 0]}}", "greater than 0"),
        ("tasks={dehaze: {airlight: [-5, 9]}}", "airlight"),
        ("tasks={inpaint: {kinds: {}}}", "kinds"),
        ("tasks={inpaint: {extent: [0.5, 2]}}", "at most 1"),
        ("tasks={deblur: {exposure: [0, 5]}}", "between 0 and 1 second"),
        ("tasks={recolor: {looks: {gray: -1}}}", "looks"),
        ("scenes.fps=.inf", "fps"),
        ("scenes.fps=0.0004", "fps"),
        ("gates.min_motion=.nan", "min_motion"),
    ],
)
def test_settings_that_make_no_sense_are_named(setting, words, tmp_path):
    done = command("build", "--from", "scenes", "--out", tmp_path / "x", "--set", setting)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("option", ["--out", "--from", "--recipe"])
def test_names_that_are_too_long_or_empty_are_one_line(option, video_folder, tmp_path):
    values = {"--out": tmp_path / "x", "--from": video_folder, "--recipe": "default"}
    for value in ("y" * 5000 + (".yaml" if option == "--recipe" else ""), *([] if option == "--out" else [""])):
        line = [part for name, given in (values | {option: value}).items() for part in (name, given)]
        done = command("build", *line, cwd=tmp_path)
        assert done.returncode == 2
        assert done.stderr.startswith("error: ")
        assert done.stderr.count("\n") == 1


def test_without_arguments_the_help_is_shown():
    done = command()
    assert done.returncode == 2
    assert "build" in done.stderr
    assert "verify" in done.stderr


def test_verify_ends_in_1_where_there_is_damage_and_in_2_where_there_is_no_dataset(toy_dataset, tmp_path):
    copy = shutil.copytree(toy_dataset, tmp_path / "copy")
    done = command("verify", copy)
    assert (done.returncode, done.stderr) == (0, "")
    shard = copy / "dehaze" / "test-000000.tar"
    data = shard.read_bytes()
    shard.write_bytes(data[:5000] + bytes([data[5000] ^ 1]) + data[5001:])
    done = command("verify", copy)
    assert done.returncode == 1
    assert done.stdout.startswith("dehaze/test-000000.tar: changed")
    assert done.stderr.count("\n") == 1
    assert "1 problem; delete the files that are named" in done.stderr
    done = command("verify", tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "exit code 1 if one is cut" in " ".join(command("verify", "--help").stdout.split())


def test_a_task_that_is_declared_but_cannot_be_built_says_so(monkeypatch):
    monkeypatch.setitem(shards.tasks._REGISTERED, "derain", get_task("dehaze"))
    with pytest.raises(ConfigError, match=r"'derain' is declared but has no builder yet; can be built: deblur, dehaze"):
        builder("derain")


def test_all_means_every_task_that_the_sources_can_give(video_folder, tmp_path):
    line = ["--all", "--workers", "0", *(part for setting in SMALL for part in ("--set", setting))]
    done = command("build", "--from", video_folder, "--out", tmp_path / "video", *line)
    assert done.returncode == 0, done.stderr
    assert "leaving out segment" in done.stderr
    # hardly any blur shows on clips as smooth as these
    assert set(Dataset(tmp_path / "video").tasks) - {"deblur"} == {"dehaze", "edit", "inpaint", "recolor"}
    assert "no change" in (tmp_path / "video" / "rejects.jsonl").read_text()
    done = command("build", "--from", "scenes", "--out", tmp_path / "scenes", "--set", "scenes.count=8", *line)
    assert done.returncode == 0, done.stderr
    assert Dataset(tmp_path / "scenes").tasks == ["deblur", "dehaze", "edit", "inpaint", "recolor", "segment"]
    assert verify(tmp_path / "scenes", decode=True) == []


def test_instructions_of_ones_own_are_used_beside_the_built_in_ones(tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text("dehaze:\n  train: [Make the air crystal clear.]\n  heldout: [Wipe the mist away.]\n")
    settings = ["scenes.count=120", "clip.frames=2", "clip.size=32"]
    line = [part for setting in settings for part in ("--set", setting)]
    done = command("build", "-t", "dehaze", "--out", tmp_path / "x", "--workers", "0", "--instructions", own, *line)
    assert done.returncode == 0, done.stderr
    said = {(row["instruction"], row["split"]) for row in Dataset(tmp_path / "x").index().to_pylist()}
    assert ("Make the air crystal clear.", "train") in said
    assert {split for text, split in said if text == "Wipe the mist away."} <= {"val", "test"}
    assert len({text for text, _ in said}) > 15
    assert replay(tmp_path / "x", Dataset(tmp_path / "x").keys()[0]).faithful


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("segment: [Mark it.]", r"template 'Mark it\.' must have \{color\} and \{object\}"),
        ("dehaze: ['Do {it}.']", "must have no attributes"),
        ("dehaze: [Remove the haze.]", "is listed twice"),
        ("dehaz: [x]", "did you mean 'dehaze'"),
        ("- x", "wanted is a mapping"),
    ],
)
def test_instructions_that_make_no_sense_are_one_line(text, words, tmp_path):
    (tmp_path / "own.yaml").write_text(text)
    done = command("build", "-t", "dehaze", "--out", tmp_path / "x", "--instructions", tmp_path / "own.yaml")
    assert done.returncode == 2
    assert re.search(words, done.stderr)
    assert done.stderr.count("\n") == 1


def test_size_rate_and_crop_have_options_of_their_own(tmp_path):
    line = ["build", "--size", "96x64", "--fps", "12.5", "--crop", "random", "--print-config"]
    shown = command(*line).stdout
    assert "size: 96x64" in shown
    assert "fps: 12.5" in shown
    assert "crop: random" in shown
    shown = command("build", "--size", "native", "--crop", "stretch", "--print-config").stdout
    assert "size: native" in shown
    assert "crop: stretch" in shown
    for wrong in (
        ["--size", "9"],
        ["--size", "96x"],
        ["--crop", "left"],
        ["--fps", "0"],
        ["--fps", "5", "--set", "clip.step=2"],
    ):
        assert command("build", *wrong, "--print-config").returncode == 2


@pytest.mark.parametrize("size", ["16:9", "0x100", "0256"])
def test_a_size_is_pixels_and_nothing_that_yaml_makes_a_number_of(size, tmp_path):
    done = command("build", "--size", size, "--out", tmp_path / "x")
    assert done.returncode == 2
    assert "must be a number of pixels, or WIDTHxHEIGHT as in 432x240" in done.stderr


def test_a_frame_rate_that_a_video_cannot_give_is_said(tmp_path):
    write_video(tmp_path / "v.mp4", moving_clip(3, frames=40, height=54, width=72), fps=Fraction(30000, 1001))
    options = [word for value in SMALL for word in ("--set", value)]
    done = command("build", "--from", tmp_path / "v.mp4", "--fps", 20, *options, "--out", tmp_path / "x")
    assert (
        "1 source of 1 cannot give 20 frames per second by taking every n-th frame; their clips have 29.97"
        in done.stdout
    )
    done = command("build", "--from", tmp_path / "v.mp4", "--fps", 15, *options, "--out", tmp_path / "y")
    assert "frames per second" not in done.stdout


def test_a_split_that_is_empty_because_the_data_set_says_so_tells_how_to_deal_out_anew(tmp_path, capsys):
    for seed, name in enumerate(("bear", "cows")):
        frames(tmp_path / "JPEGImages" / "480p" / name, seed=seed)
        masks(tmp_path / "Annotations" / "480p" / name)
    (tmp_path / "ImageSets" / "2017").mkdir(parents=True)
    (tmp_path / "ImageSets" / "2017" / "val.txt").write_text("bear\ncows\n")
    told = []
    for name, more in (("official", []), ("anew", ["splits.official=false"])):
        settings = load(
            Recipe, "default", [*RECIPE, "tasks={recolor: {}}", "splits={train: 0.9, test: 0.1, val: 0}", *more]
        )
        source = [f"davis:{tmp_path}"]
        commands.build_dataset(settings, str(tmp_path / name), source, "unknown", 0, None, False, False, None)
        told.append([line for line in capsys.readouterr().out.splitlines() if line.startswith("no ")])
    assert told[0] == [
        "no train samples: 2 sources with samples, none in train: the official split of their data set puts 2 of 2 elsewhere; "
        "--set splits.official=false and another --out deals them out anew"
    ]
    assert told[1] == []


def test_a_depth_model_that_is_not_there_is_said_before_the_folder_is_touched(video_folder, tmp_path):
    done = command("build", "--from", video_folder, "--depth", "model:no/such-model", "--out", tmp_path / "x")
    assert done.returncode not in (0, 1)
    assert "no depth model 'no/such-model' here" in done.stderr
    assert "there is no folder no/such-model, and the hub" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("workers", "gigabytes", "said"),
    [
        (None, 64, ""),
        (4, 64, ""),
        (0, 1, ""),
        (9, 64, "warning: 9 workers, where this machine has 4 cores and memory for 128 "),
        (4, 1, "memory for 2 (of 500 MB each); --workers 2 is no slower"),
    ],
)
def test_more_workers_than_the_machine_has_room_for_are_one_warning(workers, gigabytes, said, monkeypatch, capsys):
    from datagen.commands import worker_count

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    monkeypatch.setattr("os.sysconf", lambda name: gigabytes * 10**9 if name == "SC_PHYS_PAGES" else 1)
    assert worker_count(workers) == (4 if workers is None else workers)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == bool(said)
    assert said in "".join(lines)
    worker_count(workers, "ray://elsewhere:10001")
    assert capsys.readouterr().err == ""
