import base64
import json
import re
import shutil
from importlib.metadata import version

import av
import pytest

from configs import DatasetError, SourceError, load
from datagen import Recipe, build
from datagen.commands import replay_sample
from datagen.replay import replay
from datagen.synthesize import clip_scores
from datagen.tasks.base import UnsuitableClipError
from datagen.tasks.dehaze import Dehaze
from datagen.view import _in_lines, write_contact_sheet
from shards import Dataset
from tests.datagen.conftest import SMALL

DRAW = Dehaze.draw


@pytest.fixture(scope="module", params=["jpeg", "lossless", "compact"])
def dataset(request, tmp_path_factory, video_folder):
    out = tmp_path_factory.mktemp("replayed") / "data"
    build(load(Recipe, "default", [*SMALL, f"codec={request.param}"]), out, sources=[str(video_folder)])
    return Dataset(out)


@pytest.mark.parametrize("task", ["dehaze", "recolor"])
def test_a_sample_is_made_again_to_the_byte_and_from_its_target(dataset, task):
    for key in dataset.keys(task)[:3]:
        result = replay(dataset.root, key)
        assert result.identical, result.differing
        assert result.faithful, result.summary()


def test_a_sample_of_an_older_effect_is_said_to_be_one(dataset, monkeypatch, capsys):
    version, key = Dehaze.version, dataset.keys("dehaze")[0]
    monkeypatch.setattr(Dehaze, "version", version + 1)
    # parameters of another version may be unknown here
    monkeypatch.setattr("datagen.replay._from_other_side", lambda clip, stored: stored.meta.parameters["new"])
    assert replay_sample(dataset.root, key, []) == 1
    told = " ".join(capsys.readouterr().out.split())
    assert f"made by haze {version}, here is haze {version + 1}" in told
    assert "other bytes in meta.json (effect_version)" in told


def test_scores_that_changed_are_told_from_clips_and_parameters(dataset, monkeypatch, capsys):
    key = dataset.keys("dehaze")[0]
    assert replay_sample(dataset.root, key, []) == 0
    assert "same bytes" in capsys.readouterr().out
    monkeypatch.setattr("datagen.replay.clip_scores", lambda clip: clip_scores(clip) | {"phash": ["0"], "newer": 1.0})
    assert replay_sample(dataset.root, key, []) == 1
    told = " ".join(capsys.readouterr().out.split())
    assert (
        "clips and parameters have the same bytes, only scores differ (scores.newer, scores.phash): they are of "
        in told
    )
    assert f"of another state of datagen {version('vidiff')}; " in told
    monkeypatch.setattr("datagen.replay.version", lambda name: "99.0")
    assert f"of datagen {version('vidiff')}, here is 99.0; " in replay(dataset.root, key).summary()
    monkeypatch.setattr(Dehaze, "draw", lambda self, *rest: DRAW(self, *rest) | {"gain": 2.0})
    assert replay(dataset.root, key).changed == ("parameters.gain", "scores.newer", "scores.phash")


def test_a_clip_that_the_task_turns_away_by_now_is_one_line(dataset, monkeypatch):
    def refuse(self, *rest):
        raise UnsuitableClipError("no haze: it is a test")

    monkeypatch.setattr(Dehaze, "draw", refuse)
    with pytest.raises(DatasetError, match=r"turns its clip away \(no haze: it is a test\)"):
        replay(dataset.root, dataset.keys("dehaze")[0])


def test_scenes_are_made_again_with_their_exact_depth(tmp_path):
    build(load(Recipe, "default", [*SMALL, "scenes.count=3"]), tmp_path / "x")
    dataset = Dataset(tmp_path / "x")
    for key in dataset.keys("dehaze"):
        result = replay(dataset.root, key)
        assert result.faithful, result.summary()
        assert dataset[key].meta.parameters["depth"] == {"kind": "exact"}
        assert dataset[key].meta.parameters["depth_unit"] == "metre"


def test_parameters_are_per_frame_and_steady(dataset):
    for key in dataset.keys("dehaze"):
        sample = dataset[key]
        parameters = sample.meta.parameters
        assert len(parameters["beta"]) == len(parameters["airlight"]) == len(sample.source)
        for track in (parameters["beta"], [a[0] for a in parameters["airlight"]]):
            assert max(track) / min(track) <= 1.02 / 0.98 + 1e-3
        assert min(parameters["transmission"]["min"]) >= 0
        assert parameters["depth"]["kind"] == "prior:perspective-2"


def test_a_moved_source_is_found_by_its_content(dataset, video_folder, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(dataset.root, copy, ignore=shutil.ignore_patterns(".build"))
    key = dataset.keys("dehaze")[0]
    with pytest.raises(SourceError, match="give --from"):
        replay(copy, key)
    shutil.copytree(video_folder, tmp_path / "elsewhere")
    assert replay(copy, key, [str(tmp_path / "elsewhere")]).faithful


def test_the_page_holds_everything_and_every_clip_plays(dataset):
    page = write_contact_sheet(dataset.root, limit=5).read_text()
    assert all(link.startswith("data:") for link in re.findall(r"""(?:src|href)=["']([^"']*)""", page))
    assert "http" not in re.sub(r"data:[^\"]*", "", page)
    clips = re.findall(r'src="data:video/mp4;base64,([^"]+)"', page)
    assert len(clips) == 10
    import io

    for clip in clips:
        with av.open(io.BytesIO(base64.b64decode(clip))) as container:
            assert len(list(container.decode(video=0))) == 4
            assert container.streams.video[0].codec_context.pix_fmt == "yuv420p"
    assert page.count("<article") == 5


def test_the_page_shows_what_is_known_of_every_frame_in_a_line():
    parameters = {"airlight": [[0.9, 0.8, 0.7], [1, 1, 1]], "note": "a [1,  2]", "beta": [1.0, 2.0], "none": []}
    shown = _in_lines(parameters)
    assert json.loads(shown) == parameters
    assert "[ 0.9, 0.8, 0.7 ]" in shown
    assert len(shown.splitlines()) == 9


def test_the_page_escapes_what_it_shows(tmp_path):
    from shards.pages import write_html

    (tmp_path / "t.html").write_text("<p>{{ words }}</p>")
    write_html(tmp_path / "out.html", tmp_path / "t.html", words='<script>alert("x")</script>')
    assert "<script>" not in (tmp_path / "out.html").read_text()


def test_pairs_on_the_page_take_turns_between_tasks_and_sources(dataset):
    from datagen.view import spread

    rows = spread(dataset.index().to_pylist(), 8)
    assert {row["task"] for row in rows} == {"dehaze", "recolor"}
    assert len({row["source_id"] for row in rows}) >= 4


def test_an_unknown_split_or_task_is_named(dataset):
    with pytest.raises(DatasetError, match="did you mean 'train'"):
        write_contact_sheet(dataset.root, split="trian")
    with pytest.raises(DatasetError, match="did you mean 'dehaze'"):
        write_contact_sheet(dataset.root, task="dehase")


def test_meta_is_the_same_in_the_tar_and_in_the_index(dataset):
    for key in dataset.keys()[:4]:
        row, meta = dataset.row(key), dataset[key].meta
        assert json.loads(row["parameters"]) == meta.parameters
        assert json.loads(row["scores"]) == meta.scores
        assert row["seed"] == meta.seed
