import numpy as np
import pytest
from datasets import load_dataset

from configs import load
from datagen import Recipe, build
from datagen.replay import replay
from shards import Dataset, get_task, verify


@pytest.fixture(scope="module")
def half_referenced(tmp_path_factory):
    out = tmp_path_factory.mktemp("recolor") / "x"
    settings = [
        "tasks={recolor: {reference: 0.5, looks: {gray: 1, faded: 1}}}",
        "scenes.count=24",
        "clip.size=48",
        "clip.frames=4",
    ]
    build(load(Recipe, "default", settings), out)
    return out


def test_a_reference_is_a_colour_frame_of_the_clip_and_the_words_speak_of_it(half_referenced):
    dataset = Dataset(half_referenced)
    samples = [dataset[key] for key in dataset.keys("recolor")]
    with_image = [sample for sample in samples if sample.reference is not None]
    assert 6 <= len(with_image) <= 18
    for sample in with_image:
        shown = sample.target[sample.meta.parameters["reference_frame"]]
        assert np.abs(sample.reference.astype(int) - shown).mean() < 4, "the target went through jpeg"
        # what is not gray is not called gray
        family = "reference" if sample.meta.parameters["look"] == "gray" else "print_reference"
        assert sample.instruction in get_task("recolor").templates(sample.meta.split, family)
    for sample in samples:
        assert (sample.reference is None) == ("reference_frame" not in sample.meta.parameters)
    assert verify(half_referenced, decode=True) == []
    assert replay(half_referenced, with_image[0].key).faithful


@pytest.mark.parametrize("streaming", [False, True])
def test_hugging_face_reads_a_member_that_only_some_samples_have(half_referenced, streaming, tmp_path):
    dataset = Dataset(half_referenced)
    pairs = load_dataset(str(half_referenced), "recolor", split="train", streaming=streaming, cache_dir=str(tmp_path))
    found = {pair["__key__"]: pair["reference.png"] for pair in pairs}
    assert found.keys() == set(dataset.keys("recolor", "train"))
    for key, image in found.items():
        stored = dataset.members(key).get("reference.png")
        assert (image["bytes"] if image else None) == stored


def test_a_recipe_without_references_declares_none(tmp_path):
    build(load(Recipe, "default", ["tasks={recolor: {}}", "scenes.count=4", "clip.size=48", "clip.frames=4"]), tmp_path)
    assert "reference.png" not in (tmp_path / "README.md").read_text()
