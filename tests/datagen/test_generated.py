import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from configs import ConfigError, MissingExtraError, SourceError, load
from datagen import Recipe, build
from datagen.effects.clip_model import clip_scores
from datagen.effects.diffusion_model import Draw, make_pair
from datagen.gates_page import collect
from datagen.replay import replay
from datagen.settings import EngineSettings
from datagen.sources import find_source, source_summaries
from datagen.splits import assign_splits
from shards import Dataset, verify
from tests.conftest import moving_clip
from tests.datagen import tiny_engine
from tests.datagen.conftest import command, contents

LOOSE = [
    "gates.min_motion=0",
    "gates.max_jump=1000",
    "gates.max_duplicates=1",
    "gates.max_pair_psnr=200",
    "gates.copy_bits=1",
]
SMALL = ["clip.frames=3", "clip.size=20x16", "engine.steps=2", "tasks={edit: {}}", *LOOSE]
PROMPTS = [
    {"before": "a red cat", "after": "a blue cat", "instruction": "Turn the cat blue."},
    {"before": "a red cat", "after": "a red dog", "instruction": "Make it a dog.", "seed": 7},
    {"before": "a hut", "after": "a big hut", "instruction": "Make the hut big.", "seed": 8, "p2p_ratio": 0.5},
]


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    """A folder of each of the pipelines, a motion adapter and a CLIP."""
    folder = tmp_path_factory.mktemp("models")
    for kind in tiny_engine.KINDS:
        tiny_engine.pipeline(kind).save_pretrained(folder / kind)
    tiny_engine.motion_adapter().save_pretrained(folder / "adapter")
    tiny_engine.save_clip(folder / "clip")
    return folder


@pytest.fixture
def prompts(tmp_path) -> Path:
    path = tmp_path / "prompts.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in PROMPTS))
    return path


def recipe(model: object, *settings: str) -> Recipe:
    return load(Recipe, "default", [*SMALL, f"engine.model={model}", *settings])


def videos(path: Path, settings: Recipe) -> list:
    return list(find_source(f"generated:{path}", "CC0-1.0").videos(settings, {}))


@pytest.mark.parametrize("kind", tiny_engine.KINDS)
def test_pairs_are_built_verified_and_replayed_by_every_kind_of_pipeline(kind, models, prompts, tmp_path):
    frames = 1 if kind == "StableDiffusionPipeline" else 3
    settings = recipe(models / kind, f"clip.frames={frames}")
    for name in ("once", "again"):
        build(settings, tmp_path / name, sources=[f"generated:{prompts}"])
    assert contents(tmp_path / "once") == contents(tmp_path / "again")
    assert not verify(tmp_path / "once", decode=True)
    dataset = Dataset(tmp_path / "once")
    assert {dataset[key].instruction for key in dataset.keys("edit")} == {line["instruction"] for line in PROMPTS}
    for key in dataset.keys("edit"):
        sample = dataset[key]
        made = sample.meta.parameters
        assert sample.source.shape == sample.target.shape == (frames, 16, 20, 3)
        assert sample.meta.fps == 8
        assert (made["pipeline"], made["scheduler"], made["steps"]) == (kind, "DDIMScheduler", 2)
        assert made["filter"] == "none: no engine.clip"
        assert len(made["weights"]) == 16
        (line,) = [line for line in PROMPTS if line["instruction"] == sample.instruction]
        assert (made["before"], made["after"]) == (line["before"], line["after"])
        assert made["seed"] == line.get("seed", made["seed"])
        assert made["p2p_ratio"] == line["p2p_ratio"] if "p2p_ratio" in line else 0.1 <= made["p2p_ratio"] <= 0.9
    prompts.unlink()
    assert replay(tmp_path / "once", dataset.keys("edit")[0]).identical, "the list of prompts is not needed"


def test_what_the_command_line_built_is_replayed_by_another_process(models, prompts, tmp_path):
    chosen = [part for setting in SMALL for part in ("--set", setting)]
    model = [
        "--set",
        f"engine.model={models / 'StableDiffusionPipeline'}",
        "--set",
        f"engine.motion={models / 'adapter'}",
    ]
    out = tmp_path / "out"
    made = command(
        "build", "--task", "edit", "--from", f"generated:{prompts}", *chosen, *model, "--workers", 0, "--out", out
    )
    assert made.returncode == 0, made.stderr
    # two of the prompts begin with one clip
    assert "3 samples of 2 sources" in made.stdout
    assert "torchvision" not in made.stderr
    assert not verify(out, decode=True)
    assert replay(out, Dataset(out).keys("edit")[0]).identical, "this process makes the same bytes"
    assert Dataset(out)[Dataset(out).keys("edit")[0]].meta.parameters["pipeline"] == "AnimateDiffPipeline"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ([], "set engine.model=NAME"),
        (["--set", "engine.model=nobody/nothing"], "no diffusion model 'nobody/nothing' here"),
    ],
)
def test_without_weights_one_line_says_so_and_no_folder_is_made(settings, said, prompts, tmp_path):
    line = ["build", "--task", "edit", "--from", f"generated:{prompts}", *settings, "--out", tmp_path / "out"]
    found = command(*line, env={**os.environ, "HF_HUB_OFFLINE": "1", "COLUMNS": "1000"})
    assert found.returncode == MissingExtraError.exit_code
    assert said in found.stderr
    assert len(found.stderr.strip().splitlines()) == 1
    assert found.stdout == ""
    assert not (tmp_path / "out").exists()


def test_half_a_model_is_no_model(models, prompts, tmp_path):
    import shutil

    shutil.copytree(models / "AnimateDiffPipeline", tmp_path / "half")
    shutil.rmtree(tmp_path / "half" / "unet")
    with pytest.raises(MissingExtraError, match="no diffusion model"):
        videos(prompts, recipe(tmp_path / "half"))
    with pytest.raises(MissingExtraError, match="no CLIP"):
        videos(prompts, recipe(models / "AnimateDiffPipeline", f"engine.clip={tmp_path}"))


def test_what_a_model_cannot_make_is_said_before_anything_is_made(models, prompts, tmp_path):
    with pytest.raises(ConfigError, match=r"makes pictures, and clip\.frames is 3"):
        videos(prompts, recipe(models / "StableDiffusionPipeline"))
    with pytest.raises(ConfigError, match="at most 8 frames"):
        videos(prompts, recipe(models / "AnimateDiffPipeline", "clip.frames=9"))
    (tmp_path / "model_index.json").write_text('{"_class_name": "FluxPipeline"}')
    with pytest.raises(
        ConfigError, match=r"class FluxPipeline; supported are StableDiffusionPipeline .* AnimateDiffPipeline"
    ):
        videos(prompts, recipe(tmp_path))
    with pytest.raises(ConfigError, match="only a CLIP can choose"):
        recipe(tmp_path, "engine.candidates=2")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 2: not JSON"),
        ("[1]", "line 2: must be an object with before, after and instruction"),
        ('{"before": "a", "after": "b"}', "line 2.*instruction"),
        ('{"before": "a", "after": "b", "instruction": "c", "sed": 1}', "line 2.*seed"),
        ('{"before": "a", "after": "b", "instruction": "c", "p2p_ratio": 2}', "line 2.*p2p_ratio"),
    ],
)
def test_a_wrong_line_of_prompts_is_named(line, said, models, prompts):
    prompts.write_text(json.dumps(PROMPTS[0]) + "\n" + line)
    with pytest.raises(SourceError, match=said):
        videos(prompts, recipe(models / "AnimateDiffPipeline"))


def test_the_source_is_listed_and_a_missing_file_is_named(tmp_path):
    assert "generated:PATH" in source_summaries()
    with pytest.raises(SourceError, match="no such file"):
        find_source(f"generated:{tmp_path / 'gone'}", "")
    with pytest.raises(SourceError, match="did you mean 'generated'"):
        find_source("genrated:x", "")


def test_edits_of_one_caption_stay_in_one_split_whatever_the_model(models, tmp_path):
    path = tmp_path / "many.jsonl"
    lines = [
        {"before": f"a {'very ' * a}old hut", "after": f"hut {b}", "instruction": "Do it."}
        for a in range(6)
        for b in range(3)
    ]
    path.write_text("\n".join(map(json.dumps, lines)))
    found = []
    for kind in tiny_engine.KINDS[1:]:
        settings = recipe(models / kind)
        listed = videos(path, settings)
        splits = assign_splits(listed, settings.splits, settings.seed)
        places = {video.facts["after"] + video.facts["before"]: splits[video.sha256] for video in listed}
        assert len({(video.facts["before"], splits[video.sha256]) for video in listed}) == 6
        assert set(places.values()) == {"train", "val", "test"}
        found.append((places, {video.sha256 for video in listed}))
    assert found[0][0] == found[1][0]
    assert not found[0][1] & found[1][1], "another model gives other videos"


def test_other_weights_under_the_same_name_give_other_videos(models, prompts, tmp_path):
    from datagen.effects import diffusion_model

    pipe = tiny_engine.pipeline("AnimateDiffPipeline")
    pipe.save_pretrained(tmp_path / "model")
    first = videos(prompts, recipe(tmp_path / "model"))
    with torch.no_grad():
        pipe.vae.decoder.conv_out.bias += 0.1
    pipe.save_pretrained(tmp_path / "model")
    diffusion_model._load.cache_clear()
    diffusion_model._digest.cache_clear()
    second = videos(prompts, recipe(tmp_path / "model"))
    assert not {video.sha256 for video in first} & {video.sha256 for video in second}


@pytest.mark.parametrize(("settings", "frames", "fps"), [(["clip.step=4"], 9, 32), (["clip.fps=12"], 3, 12)])
def test_a_clip_has_the_frames_that_were_made_whatever_the_step(settings, frames, fps, models, prompts):
    (video, *_) = videos(prompts, recipe(models / "AnimateDiffPipeline", *settings))
    assert (video.frames, video.fps) == (frames, fps)


def test_scale_generates_larger_pictures_and_reduces_them(models):
    engine = EngineSettings(model=str(models / "AnimateDiffPipeline"), steps=2)
    draw, captions = Draw(seed=1, p2p_ratio=0.5), ("a cat", "a dog")
    large = make_pair(engine, captions, draw, frames=2, width=48, height=32)
    small = make_pair(engine.model_copy(update={"scale": 2}), captions, draw, frames=2, width=24, height=16)
    for a, b in zip(large, small, strict=True):
        means = a.reshape(2, 16, 2, 24, 2, 3).astype(float).mean((2, 4))
        assert np.abs(means - b).max() <= 0.75, "AREA is the mean of the pixels"


def test_scores_are_those_of_the_clip_model_itself(models):
    from transformers import AutoTokenizer, CLIPImageProcessorPil, CLIPModel

    name, captions = str(models / "clip"), ("a red cat", "a dog")
    sides = (moving_clip(0, frames=3, height=32, width=32), moving_clip(1, frames=3, height=32, width=32))
    found = clip_scores(sides, captions, name, "cpu")
    model = CLIPModel.from_pretrained(name)
    texts = AutoTokenizer.from_pretrained(name)(list(captions), padding=True, return_tensors="pt")
    outputs = []
    for side in sides:
        pixels = CLIPImageProcessorPil.from_pretrained(name)(images=list(side), return_tensors="pt")
        with torch.no_grad():
            outputs.append(model(**texts, **pixels))
    scale = model.logit_scale.exp().item()
    likeness = [outputs[i].logits_per_image[:, i].mean().item() / scale for i in (0, 1)]
    assert found["pair_clip_text"] == pytest.approx(min(likeness), abs=2e-4)
    a, b = (output.image_embeds.numpy() for output in outputs)
    assert found["pair_clip_image"] == pytest.approx((a * b).sum(1).mean(), abs=2e-4)
    change, said = b - a, np.subtract(*outputs[0].text_embeds.numpy()[::-1])
    cosines = change @ said / np.linalg.norm(change, axis=1) / np.linalg.norm(said)
    assert found["pair_clip_direction"] == pytest.approx(cosines.mean(), abs=2e-4)


def test_the_candidate_of_the_best_direction_is_kept(models, prompts, tmp_path):
    name = str(models / "clip")
    limits = [f"engine.min_pair_clip_{what}=-1" for what in ("image", "text", "direction")]
    settings = recipe(models / "AnimateDiffPipeline", f"engine.clip={name}", "engine.candidates=4", *limits)
    build(settings, tmp_path / "out", sources=[f"generated:{prompts}"])
    dataset = Dataset(tmp_path / "out")
    for key in dataset.keys("edit"):
        meta = dataset[key].meta
        made = meta.parameters
        assert made["filter"]["name"] == name
        # the same captions with other draws: no better one among those that were tried
        rng = np.random.default_rng(int(_seed(meta), 16))
        tried = []
        for _ in range(4):
            seed, ratio = int(rng.integers(2**32)), round(float(rng.uniform(0.1, 0.9)), 4)
            (line,) = [line for line in PROMPTS if line["after"] == made["after"]]
            draw = Draw(seed=line.get("seed", seed), p2p_ratio=line.get("p2p_ratio", ratio))
            captions = (made["before"], made["after"])
            sides = make_pair(settings.engine, captions, draw, frames=3, width=20, height=16)
            tried.append((clip_scores(sides, captions, name, "cpu")["pair_clip_direction"], draw))
        best = max(tried, key=lambda pair: pair[0])
        assert meta.scores["pair_clip_direction"] == best[0]
        assert (made["seed"], made["p2p_ratio"]) == (best[1].seed, best[1].p2p_ratio)


def _seed(meta) -> str:
    import hashlib

    text = f"0 edit {meta.source_sha256} {meta.start} {meta.step} 3 generated"
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def test_pairs_below_a_threshold_are_rejected_with_their_scores(models, prompts, tmp_path):
    name = str(models / "clip")
    limits = [f"engine.min_pair_clip_{what}=-1" for what in ("image", "text", "direction")]
    kept = recipe(models / "AnimateDiffPipeline", f"engine.clip={name}", *limits)
    build(kept, tmp_path / "all", sources=[f"generated:{prompts}"])
    dataset = Dataset(tmp_path / "all")
    directions = sorted(dataset[key].meta.scores["pair_clip_direction"] for key in dataset.keys("edit"))
    strict = recipe(
        models / "AnimateDiffPipeline", f"engine.clip={name}", *limits[:2], "engine.min_pair_clip_direction=1"
    )
    with pytest.raises(SourceError, match="another change 3"):
        build(strict, tmp_path / "none", sources=[f"generated:{prompts}"])
    rejects = [json.loads(line) for line in (tmp_path / "none" / "rejects.jsonl").read_text().splitlines()]
    for reject in rejects:
        score = reject["scores"]["pair_clip_direction"]
        assert reject["where"] == "pair"
        assert reject["reason"] == f"another change: pair_clip_direction {score:g} < 1"
    gate = collect(tmp_path / "all").gate("pair_clip_direction")
    assert sorted(gate.kept) == directions
    assert [limit.value for limit in gate.thresholds] == [-1]
