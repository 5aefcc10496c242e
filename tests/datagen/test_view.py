import base64
import html
import io
import re
from collections import Counter
from dataclasses import replace

import av
import numpy as np
import pytest

from datagen.commands import view_dataset
from datagen.view import _names, spread, write_contact_sheet
from shards import Dataset, Manifest, encode_sample, write_shard
from tests.conftest import make_sample


def rows_of(**sources: int) -> list[dict]:
    """Index rows of two tasks, sorted as an index is: so many sources per split, two clips each."""
    return [
        {"task": task, "split": split, "source_id": f"{split}{number}", "key": f"{number:03d}-{clip}"}
        for task in ("dehaze", "recolor")
        for split in sorted(sources)
        for number in range(sources[split])
        for clip in range(2)
    ]


def decode(encoded: str) -> np.ndarray:
    with av.open(io.BytesIO(base64.b64decode(encoded, validate=True))) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def clips_on(page: str) -> list[np.ndarray]:
    return [decode(clip) for clip in re.findall(r'src="data:video/mp4;base64,([^"]+)"', page)]


@pytest.fixture
def masked_page(tmp_path) -> str:
    """A page of one large inpainting pair whose instruction would break out of the page, if it could."""
    sample = make_sample("inpaint", "test", 0)
    clip = sample.target.repeat(10, axis=1).repeat(10, axis=2)
    mask = np.zeros(clip.shape[:3], np.uint8)
    mask[:, :, 240:] = 255
    sample = replace(
        sample, source=clip // 2, target=clip, mask=mask, instruction='Fill <b>it</b> & "quote" it.</article><script>'
    )
    shard = write_shard(tmp_path / "inpaint" / "test-000000.tar", [encode_sample(sample)])
    Manifest(recipe={}, recipe_digest="0", code_version="0", shards=(shard,), sources=1).save(tmp_path)
    return write_contact_sheet(tmp_path, tmp_path / "elsewhere.html").read_text()


def test_every_split_of_every_task_is_on_the_page_however_unequal():
    chosen = spread(rows_of(test=10, train=80, val=1), 24)
    found = Counter((row["task"], row["split"]) for row in chosen)
    assert len(chosen) == 24
    for task in ("dehaze", "recolor"):
        assert found[task, "val"] == 2  # all there are
        assert found[task, "test"] == found[task, "train"] == 5


def test_a_source_shows_a_second_time_only_when_all_have_shown():
    for limit in (4, 9, 16, 25):
        shown = Counter((row["task"], row["source_id"]) for row in spread(rows_of(test=4, train=6), limit))
        assert len(shown) == min(limit, 20)
    assert len(spread(rows_of(test=1, train=1), 100)) == 8


def test_on_the_page_the_sources_of_a_task_and_split_take_turns():
    shown = [row["source_id"] for row in spread(rows_of(test=3), 100) if row["task"] == "recolor"]
    assert shown == ["test0", "test1", "test2"] * 2


def test_one_pair_is_enough():
    assert len(spread(rows_of(test=3, train=9), 1)) == 1
    assert spread([], 5) == []


def test_clips_are_shrunk_and_the_mask_shows_beside_them(masked_page):
    source, target, mask = clips_on(masked_page)
    assert source.shape == target.shape == mask.shape == (4, 172, 256, 3)  # 480 x 320, scaled, made even
    assert target.mean() > 1.7 * source.mean()
    assert mask[:, :, :120].max() < 30
    assert mask[:, :, 136:].min() > 225


def test_an_instruction_cannot_break_out_of_the_page(masked_page):
    assert "<b>it</b>" not in masked_page
    assert masked_page.count("</article>") == 1
    assert masked_page.count("<script>") == 1
    assert 'Fill <b>it</b> & "quote" it.' in html.unescape(masked_page)


def test_page_and_terminal_say_how_many_pairs_are_shown_and_how_to_see_more(toy_dataset, tmp_path, capsys):
    view_dataset(toy_dataset, tmp_path / "few.html", "dehaze", None, 2)
    told = "2 of 18 pairs; --limit 18 shows all, --task and --split choose among them"
    assert capsys.readouterr().out.splitlines()[0] == told
    page = (tmp_path / "few.html").read_text()
    assert told in html.unescape(page)
    view_dataset(toy_dataset, tmp_path / "all.html", "dehaze", None, 18)
    assert capsys.readouterr().out.splitlines()[0] == "18 of 18 pairs"
    shown = re.findall(r"codec PSNR: source ([\d.]+), target ([\d.]+) dB", page)
    rows = {row["psnr_target"] for row in Dataset(toy_dataset).index("dehaze").to_pylist()}
    assert len(shown) == 2
    assert {target for _, target in shown} <= {f"{psnr:.1f}" for psnr in rows}
    assert "Codec PSNR: of the stored clip against the one that was encoded" in page


def test_sources_of_one_id_are_called_by_path_and_sha256():
    rows = [
        {"source_id": name, "source_sha256": sha256, "clean_sha256": sha256 * 12}
        for name, sha256 in (("clip", "a"), ("clip", "b"), ("other", "c"))
    ]
    # the same video with other words beside it is no other file
    rows.append({"source_id": "other", "source_sha256": "d", "clean_sha256": "c" * 12})
    assert _names(rows, {"a": "x/clip.mp4", "c": "x/other.mp4"}) == {
        "a": "x/clip.mp4 (sha256 aaaaaaaaaaaa)",
        "b": "clip (sha256 bbbbbbbbbbbb)",
        "c": "other",
        "d": "other",
    }
