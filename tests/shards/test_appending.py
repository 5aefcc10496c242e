"""Lines of JSON that are appended: whole or not at all, by many at once, after writers that were killed."""

import json
import resource
import threading

import pytest

from configs import OutputError
from shards.storage import append_json


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_lines_of_many_threads_stand_whole_one_after_another(tmp_path):
    path = tmp_path / "new" / "lines.jsonl"
    words = "x" * 10_000
    threads = [
        threading.Thread(target=lambda n=n: [append_json(path, [n, k, words]) for k in range(20)], daemon=True)
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    found = lines_of(path)
    assert sorted((n, k) for n, k, _ in found) == [(n, k) for n in range(4) for k in range(20)]


def test_a_line_that_was_cut_short_swallows_no_other(tmp_path):
    path = tmp_path / "lines.jsonl"
    path.write_text('{"a": 1}\n{"b": ')
    append_json(path, {"c": 3})
    assert path.read_text() == '{"a": 1}\n{"b": \n{"c": 3}\n'


def test_a_full_disk_names_its_file_and_leaves_it_as_it_was(tmp_path):
    path = tmp_path / "lines.jsonl"
    append_json(path, {"a": 1})
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 5, limits[1]))
    try:
        with pytest.raises(OutputError, match=f"cannot write {path}: "):
            append_json(path, {"b": "more than five bytes"})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    append_json(path, {"c": 3})
    assert lines_of(path) == [{"a": 1}, {"c": 3}]
