"""What a merge refuses: clips in two splits that look alike, by hashes that are made up."""

import numpy as np
import pytest

from configs import DatasetError, load
from datagen import Recipe
from datagen.duplicates import Seen, find_relatives
from datagen.leaks import _COPY_BITS, _check_looks
from datagen.sources.rendered import Scenes, is_scene


def hashes(seed: int) -> list[str]:
    return [row.tobytes().hex() for row in np.random.default_rng(seed).integers(0, 256, (8, 8), dtype=np.uint8)]


def seen(video: str, split: str, looks: list[int]) -> dict[tuple[str, int], Seen]:
    clips = [
        Seen(sha256=video, group=video, start=16 * n, split=split, hashes=hashes(look), moving=hashes(1000 + look))
        for n, look in enumerate(looks)
    ]
    return {(clip.sha256, clip.start): clip for clip in clips}


def check_looks(clips: dict[tuple[str, int], Seen], names: dict[str, str]) -> None:
    _check_looks(clips, find_relatives(clips.values(), _COPY_BITS).near, names)


def test_clips_without_a_twin_of_their_own_are_not_named_though_their_videos_are_copies():
    names = {"a": "a.mp4 in A", "b": "b.mp4 in B"}
    clips = seen("a", "train", [0, 1, 2, 3, 4, 5]) | seen("b", "test", [0, 1, 2, 3, 14, 15])
    with pytest.raises(DatasetError, match="LEAK: 4 clips look like some in another split") as raised:
        check_looks(clips, names)
    assert "0 of 64 bits apart" in str(raised.value)
    assert "None" not in str(raised.value)


def test_videos_that_look_alike_in_one_split_and_others_in_two_are_no_leak():
    names = {"a": "a", "b": "b", "c": "c"}
    check_looks(seen("a", "train", [0, 1]) | seen("b", "train", [0, 1]) | seen("c", "test", [7, 8]), names)


@pytest.mark.parametrize("part", ["clip", "scenes"])
def test_a_scene_is_known_for_one_by_a_recipe_with_settings_that_are_gone(part):
    recipe = load(Recipe, "default", ["scenes.count=1", "clip.frames=8"])
    (scene,) = Scenes().videos(recipe, {})
    plain = recipe.model_dump(mode="json")
    earlier = plain | {part: plain[part] | {"gone": 1}}
    assert is_scene(scene.id, scene.sha256, earlier)
    assert not is_scene(scene.id, "0" * 64, earlier)
    assert not is_scene(scene.id, scene.sha256, plain | {part: dict.fromkeys(plain[part], "no value")})
