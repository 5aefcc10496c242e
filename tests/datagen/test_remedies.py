"""What is said to help against being left out."""

import re

import pytest

from configs import load
from datagen import Recipe
from datagen.gates import judge, judge_generated, judge_pair
from datagen.rejects import kind_of
from datagen.remedies import REMEDIES, in_remedies
from datagen.settings import EngineSettings, GateSettings
from datagen.tasks import builder

FINE = {
    "brightness": 120, "contrast": 40, "motion": 2, "duplicates": 0, "jump": 1, "borders": 0, "lettering": 0, "sharpness": 99,
}  # fmt: skip
PAIR = {"pair_psnr": 20, "pair_changed": 0.5}


@pytest.mark.parametrize(
    "broken",
    [{"brightness": 0}, {"brightness": 255}, {"contrast": 0}, {"motion": 0}, {"duplicates": 1}, {"jump": 9}, {"borders": 1},
     {"lettering": 1}, {"sharpness": 0}],
)  # fmt: skip
def test_against_every_gate_of_clips_something_helps(broken):
    usable, reason = judge(FINE | broken, GateSettings(), 4)
    assert not usable
    assert kind_of({"reason": reason}) in REMEDIES


@pytest.mark.parametrize("broken", [{"pair_psnr": 60}, {"pair_changed": 0}, {"pair_changed": 1}, {"pair_outside": 9}])
def test_against_every_gate_of_pairs_something_helps(broken):
    gates = GateSettings(max_pair_changed=0.9)
    reason = judge_pair(PAIR | broken, gates, changes=True, keeps_outside=True)
    assert kind_of({"reason": reason}) in REMEDIES
    for score in ("pair_clip_image", "pair_clip_text", "pair_clip_direction"):
        assert kind_of({"reason": judge_generated({score: -1}, EngineSettings())}) in REMEDIES


def test_every_setting_that_is_said_to_help_is_one():
    said = " ".join(REMEDIES.values())
    assigned = re.findall(r"(?:clip|gates)\.\w+=[\w.]+", said)
    assert len(assigned) > 9
    load(Recipe, "default", assigned)
    for name in re.findall(r"\b(clip|gates|engine|limits)\.(\w+)", said):
        assert name[1] in Recipe.model_fields[name[0]].annotation.model_fields, name
    for task, name, value in re.findall(r"tasks\.(\w+)\.(\w+)(?:=(\{.*?\}|\[.*?\]|\d+))?", said):
        assert name in builder(task).options({}).model_dump()
        if value:
            recipe = load(Recipe, "default", [f"tasks={{{task}: {{{name}: {value}}}}}"])
            builder(task).options(recipe.tasks[task])


def test_only_what_occurs_is_told():
    assert list(in_remedies(["interlaced"])) == []
    assert [line.split(":")[0].strip() for line in in_remedies(["still", "x", "black"])][1:] == ["black", "still"]
