"""Pairs of captions as a source: a diffusion model makes both clips, with prompt-to-prompt (`engine` in the recipe)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import Field

from configs import ConfigError, Settings, Share, SourceError
from configs.loader import check
from datagen.effects.clip_model import clip_scores, describe_clip
from datagen.effects.diffusion_model import Draw, describe_engine, device_name, device_of, make_pair
from datagen.gates import judge_generated
from datagen.instructions import generator, seed_of
from datagen.settings import Recipe
from datagen.sources.base import Clip, Examined, Native, Reject, SourceVideo, Window
from shards.sample import Video

TASK = "edit"


class Prompt(Settings):
    """A line of the list."""

    before: str = Field(min_length=1)
    """Caption of the clip to be edited."""
    after: str = Field(min_length=1)
    """Caption of the edited clip; the more of its words are the same, the more of the picture is."""
    instruction: str = Field(min_length=1)
    """What leads from the one to the other, as a sentence."""
    seed: int | None = Field(None, ge=0, lt=2**63)
    """Of the noise; drawn if it is not given."""
    p2p_ratio: Share | None = None
    """In place of one drawn from `engine.p2p_ratio`."""


class Generated:
    """The prompts of one list."""

    kind = "generated"
    masks = False

    def __init__(self, path: Path, licence: str) -> None:
        self.path, self.licence = path, licence

    def videos(self, recipe: Recipe, examined: Examined) -> Iterator[SourceVideo | Reject]:
        """Yield a video for each prompt; nothing is generated yet, but the weights are looked at.

        What a video is depends on the model and the settings, and so does its sha256. Its split depends on the first
        caption alone: edits of one clip stay together.
        """
        prompts = list(self._prompts())
        made_by = _made_by(recipe)
        # a model makes the frames of a clip and none in between
        fps = recipe.clip.fps or recipe.engine.fps * recipe.clip.step
        size = (recipe.clip.height, recipe.clip.width)
        for number, prompt in prompts:
            facts = {"task": TASK, **prompt.model_dump(exclude_none=True)}
            digest = _digest([recipe.seed, recipe.clip.frames, size, fps, made_by, facts])
            yield SourceVideo(
                kind=self.kind,
                id=f"generated-{digest[:12]}",
                sha256=digest,
                licence=self.licence,
                frames=recipe.clip.span_at(fps),
                fps=fps,
                locator=f"{self.path}:{number}",
                name=f"{self.path.name}:{number}",
                facts=facts,
                clean_sha256=_digest(["caption", prompt.before.lower().split()]),
            )

    def _prompts(self) -> Iterator[tuple[int, Prompt]]:
        try:
            lines = self.path.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise SourceError(
                f"{self.path} cannot be read ({error}); it must be a text file with a JSON object per line"
            ) from None
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield number, _prompt(line, f"{self.path}, line {number}")

    @staticmethod
    @contextmanager
    def reader(recipe: Recipe) -> Iterator[PairReader]:
        """Open a reader that makes clips when they are asked for; the model stays loaded in its process."""
        yield PairReader(recipe)


class PairReader:
    """Makes pairs on demand."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._made_by = _made_by(recipe) | {"device": device_name(recipe.engine.device)}

    def read(self, video: SourceVideo, window: Window) -> Clip:
        """Make the candidates of a prompt, and return the best."""
        facts, engine = video.facts, self._recipe.engine
        prompts = (facts["before"], facts["after"])
        best: tuple[tuple[bool, float], Draw, tuple[Video, Video], dict[str, float]] | None = None
        for draw in self._draws(video, window):
            size = self._recipe.clip
            sides = make_pair(engine, prompts, draw, frames=window.frames, width=size.width, height=size.height)
            scores = clip_scores(sides, prompts, engine.clip, device_of(engine.device)) if engine.clip else {}
            rank = (judge_generated(scores, engine) == "", scores.get("pair_clip_direction", 0.0))
            if best is None or rank > best[0]:
                best = (rank, draw, sides, scores)
        if best is None:
            raise ValueError("engine.candidates must be 1 or more")
        _, draw, (before, after), scores = best
        parameters = {
            **self._made_by,
            "before": prompts[0],
            "after": prompts[1],
            "seed": draw.seed,
            "p2p_ratio": draw.p2p_ratio,
            "candidates": engine.candidates,
        }
        native = Native(task=TASK, other=after, instruction=facts["instruction"], parameters=parameters, scores=scores)
        return Clip(video=video, window=window, frames=before, native=native)

    def _draws(self, video: SourceVideo, window: Window) -> Iterator[Draw]:
        rng = generator(seed_of(self._recipe.seed, TASK, video, window, "generated"))
        for _ in range(self._recipe.engine.candidates):
            # both are drawn always, so that one that is given does not change the other
            seed, ratio = int(rng.integers(2**32)), round(float(rng.uniform(*self._recipe.engine.p2p_ratio)), 4)
            yield Draw(seed=video.facts.get("seed", seed), p2p_ratio=video.facts.get("p2p_ratio", ratio))


def _made_by(recipe: Recipe) -> dict[str, Any]:
    """Return what decides a clip besides the prompt, and is recorded with it."""
    engine = recipe.engine
    return {
        **describe_engine(engine, recipe.clip.frames),
        "self_ratio": engine.self_ratio,
        "temporal_ratio": engine.temporal_ratio,
        "filter": describe_clip(engine.clip) if engine.clip else "none: no engine.clip",
    }


def _prompt(line: str, where: str) -> Prompt:
    try:
        values = json.loads(line)
    except ValueError as error:
        raise SourceError(f"{where}: not JSON ({error})") from None
    if not isinstance(values, dict):
        raise SourceError(f"{where}: must be an object with before, after and instruction, is {line.strip()[:60]!r}")
    try:
        return check(Prompt, values, where=where)
    except ConfigError as error:
        raise SourceError(str(error)) from None


def _digest(values: Any) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
