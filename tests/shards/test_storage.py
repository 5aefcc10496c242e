"""Files that are written whole, or line by line, and what is said where they cannot be."""

import errno
import json
import os
import resource
from pathlib import Path

import pytest

from configs import OutputError
from shards.storage import append_json, unwritable


def test_a_line_that_does_not_fit_is_told_with_its_file_and_leaves_the_lines_before_it(tmp_path):
    path = tmp_path / "rows.jsonl"
    append_json(path, {"row": 1})
    size = path.stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 40, hard))
    try:
        with pytest.raises(
            OutputError, match=rf"cannot write {path}: .*make room there and run the same command again"
        ):
            append_json(path, {"row": "2" * 100})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.stat().st_size == size
    append_json(path, {"row": 3})
    assert [json.loads(line)["row"] for line in path.read_text().splitlines()] == [1, 3]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_named():
    with pytest.raises(OutputError, match=r"cannot write /dev/full: No space left on device; make room"):
        append_json(Path("/dev/full"), 1)


@pytest.mark.parametrize(
    ("number", "words"), [(errno.EROFS, "name another folder"), (errno.EDQUOT, "make room"), (errno.EIO, "error")]
)
def test_an_error_says_what_to_do(number, words):
    assert words in str(unwritable(Path("out"), OSError(number, os.strerror(number))))
