"""Which answer people prefer: blind pairs on a local page, every vote kept at once, win rates and a Bradley-Terry order."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import itertools
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report.stored import load_run, scored_dataset
from benchmarks.runner import prediction_path
from benchmarks.scoring import Row
from benchmarks.studies.odds import bradley_terry, rate_interval
from benchmarks.studies.report import Record, Study
from benchmarks.ties import LEAST_VIDEOS
from configs import DatasetError, OutputError, counted
from shards import encode_preview
from shards.codecs import decode_video
from shards.pages import write_html
from shards.storage import append_json

VOTES = "votes.jsonl"
_TEMPLATE = Path(__file__).parent / "preference.html"
_LONGEST = 64
"""Letters of a voter's name."""
_PATIENCE = 30
"""Seconds that a browser may be silent in the middle of what it says."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two answers to one sample, in the order in which they are shown."""

    task: str
    key: str
    left: str
    right: str
    answers: tuple[str, str]
    """What tells them from other answers of the same methods, of an earlier version, say."""

    @property
    def name(self) -> str:
        """A name that says nothing about the methods."""
        return hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()[:12]


def make_pairs(folder: Path, tasks: Sequence[str], methods: Sequence[str], limit: int | None, seed: int) -> list[Pair]:
    """Return pairs of kept answers in a shuffled order, each pair with its sides drawn by lot; at most `limit`.

    Raises:
        DatasetError: there is no finished run, or it keeps no two answers to a sample.
    """
    run = load_run(folder)
    kept: dict[tuple[str, str], dict[str, str]] = {}
    for row in run.rows:
        wanted = (not tasks or row["task"] in tasks) and (row["method"] in methods if methods else row["ranked"])
        if wanted and row["status"] == "ok" and prediction_path(folder, row).is_file():
            kept.setdefault((row["task"], row["key"]), {})[row["method"]] = _answer(row)
    pairs = [
        _pair(seed, task, key, answers, names)
        for (task, key), answers in sorted(kept.items())
        for names in itertools.combinations(sorted(answers), 2)
    ]
    if not pairs:
        raise DatasetError(f"{folder} keeps no two answers to one sample; run it with two methods at least")
    order = np.random.default_rng(seed).permutation(len(pairs))
    return [pairs[n] for n in order][:limit]


def _pair(seed: int, task: str, key: str, answers: dict[str, str], names: tuple[str, str]) -> Pair:
    # by the pair itself, so that it is the same one whoever else is asked about
    lot = hashlib.sha256(json.dumps([seed, task, key, *names]).encode()).digest()[0]
    left, right = names if lot % 2 else names[::-1]
    return Pair(task=task, key=key, left=left, right=right, answers=(answers[left], answers[right]))


def _answer(row: Row) -> str:
    return str(row["kept_sha256"])[:12]


class Poll:
    """Serves pairs one after another and keeps each vote at once."""

    def __init__(self, folder: Path, pairs: Sequence[Pair]) -> None:
        self._folder, self._pairs = folder, {pair.name: pair for pair in pairs}
        run = load_run(folder)
        self._rows = {(row["task"], row["key"], row["method"]): row for row in run.rows}
        self._dataset = scored_dataset(folder, run)

    def next_for(self, voter: str) -> dict[str, Any]:
        """Return the next pair that a voter has not seen: its name and what to show, nothing about the methods."""
        votes = read_votes(self._folder)
        seen = {vote["pair"] for vote in votes if vote["voter"] == voter[:_LONGEST]}
        waiting = [pair for name, pair in self._pairs.items() if name not in seen]
        if not waiting:
            return {"done": len(seen)}
        # who stops early must not leave the last pairs without votes
        asked = Counter(vote["pair"] for vote in votes)
        pair = min(waiting, key=lambda pair: asked[pair.name])
        sample = self._dataset[pair.key]
        left, total = len(self._pairs) - len(waiting) + 1, len(self._pairs)
        return {"pair": pair.name, "instruction": sample.instruction, "number": left, "of": total}

    def clip(self, name: str, side: str) -> bytes:
        """Return the clip on a side of a pair, or its source, as mp4. Raises `KeyError` for a name that is none."""
        pair = self._pairs[name]
        sample = self._dataset[pair.key]
        if side == "source":
            return encode_preview(sample.source, sample.meta.fps)
        method = {"left": pair.left, "right": pair.right}[side]
        path = prediction_path(self._folder, self._rows[pair.task, pair.key, method])
        return encode_preview(decode_video(path.read_bytes()), sample.meta.fps)

    def vote(self, name: str, choice: str, voter: str) -> None:
        """Keep a vote: `left`, `right` or `same`; of a voter's votes on a pair the last one counts.

        Raises:
            KeyError: another name or choice.
            OutputError: it cannot be kept.
        """
        pair = self._pairs[name]
        winner = {"left": pair.left, "right": pair.right, "same": ""}[choice]
        vote = {"pair": name, **asdict(pair), "winner": winner, "voter": voter[:_LONGEST]}
        append_json(self._folder / "preference" / VOTES, vote)


def read_votes(folder: Path) -> list[dict[str, Any]]:
    """Return the votes kept so far, of each voter the last one on a pair; a line that a kill cut short is left out."""
    path = folder / "preference" / VOTES
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        try:
            vote = json.loads(line)
        except ValueError:
            continue
        found[vote["voter"], vote["pair"]] = vote
    return list(found.values())


def preference_study(folder: Path) -> Study:
    """Sum up the votes: win rates with intervals over videos, and a Bradley-Terry order.

    Raises:
        DatasetError: there is no finished run, or nobody has voted.
    """
    votes = read_votes(folder)
    if not votes:
        raise DatasetError(f"{folder} has no votes yet; 'bench study preference {folder}' asks for them")
    rows = load_run(folder).rows
    videos = {row["key"]: row["video"] for row in rows}
    now = {(row["key"], row["method"]): _answer(row) for row in rows if row.get("kept_sha256")}
    count = len(votes)
    votes = [vote for vote in votes if _is_of(vote, now)]
    if not votes:
        raise DatasetError(
            f"the {counted(count, 'vote')} in {folder} are on other answers than the run has now; "
            f"'bench study preference {folder}' asks for new ones"
        )
    old = f" {counted(count - len(votes), 'vote')} on other answers of the same methods left out." * (
        count > len(votes)
    )
    # a sample that an earlier run in the folder had, and the present one has not, stands for itself
    votes = [vote | {"video": videos.get(vote["key"], vote["key"])} for vote in votes]
    records: list[Record] = []
    for task in sorted({vote["task"] for vote in votes}):
        records += _of_task(task, [vote for vote in votes if vote["task"] == task])
    voters = len({vote["voter"] for vote in votes})
    return Study(
        name="preference",
        question=f"Which answer do people prefer? {counted(len(votes), 'vote')} of {counted(voters, 'voter')}, blind "
        f"and shuffled.{old}",
        records=records,
        words=(
            "Win rate: share of its votes that a method won, a tie counting half; brackets: 95 % intervals (Wilson's) that take "
            f"videos, not votes, as independent; none below {LEAST_VIDEOS} videos. Strength: Bradley-Terry, as the chance to "
            "beat the average method of the task.",
        ),
    )


def _is_of(vote: dict[str, Any], now: dict[tuple[str, str], str]) -> bool:
    """Return whether a vote is on the answers that a run has now; votes of earlier versions do not say on which they are."""
    shown = zip((vote["left"], vote["right"]), vote.get("answers", ()), strict=False)
    return all(now.get((vote["key"], method), answer) == answer for method, answer in shown)


def _of_task(task: str, votes: list[dict[str, Any]]) -> list[Record]:
    methods = sorted({vote[side] for vote in votes for side in ("left", "right")})
    videos = sorted({vote["video"] for vote in votes})
    wins = np.zeros((len(videos), len(methods), len(methods)))
    for vote in votes:
        left, right = methods.index(vote["left"]), methods.index(vote["right"])
        share = {vote["left"]: 1.0, vote["right"]: 0.0, "": 0.5}[vote["winner"]]
        place = videos.index(vote["video"])
        wins[place, left, right] += share
        wins[place, right, left] += 1 - share
    total = wins.sum(axis=0)
    # of each method on each video
    won, lost = wins.sum(axis=2), wins.sum(axis=1)
    strengths = bradley_terry(total)
    found = []
    for n, method in enumerate(methods):
        low, high = rate_interval(won[:, n], won[:, n] + lost[:, n])
        found.append(
            {
                "task": task,
                "method": method,
                "votes": int(total[n].sum() + total[:, n].sum()),
                "win rate": float(won[:, n].sum() / (won[:, n] + lost[:, n]).sum()),
                "interval": "n/a" if low is None else f"[{low:.2f}, {high:.2f}]",
                "strength": float(strengths[n]),
            }
        )
    return sorted(found, key=lambda record: -float(str(record["strength"])))


def serve_poll(poll: Poll, port: int, on_ready: Callable[[str], None]) -> None:
    """Serve the poll on 127.0.0.1 until Ctrl-C; `on_ready` is told its address.

    Raises:
        OutputError: the port is taken.
    """
    page = _page()
    try:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", port), partial(_Handler, poll, page))
    except (OSError, OverflowError) as error:
        raise OutputError(
            f"cannot listen on port {port}: {getattr(error, 'strerror', None) or error}; try --port 0"
        ) from None
    with server:
        on_ready(f"http://127.0.0.1:{server.server_address[1]}/")
        server.serve_forever()


def _page() -> bytes:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "page.html"
        write_html(path, _TEMPLATE)
        return path.read_bytes()


class _Handler(http.server.BaseHTTPRequestHandler):
    timeout = _PATIENCE

    def __init__(self, poll: Poll, page: bytes, *args: Any) -> None:
        self._poll, self._page = poll, page
        super().__init__(*args)

    def do_GET(self) -> None:
        """Answer `/`, `/next/VOTER` and `/clip/PAIR/SIDE.mp4`."""
        match self.path.split("?")[0].strip("/").split("/"):
            case [""]:
                self._send(self._page, "text/html; charset=utf-8")
            case ["next", voter]:
                self._send(json.dumps(self._poll.next_for(voter)).encode(), "application/json")
            case ["clip", name, side]:
                try:
                    self._send(self._poll.clip(name, side.removesuffix(".mp4")), "video/mp4")
                except (KeyError, OSError, DatasetError):
                    self.send_error(404)
            case _:
                self.send_error(404)

    def do_POST(self) -> None:
        """Take a vote: JSON with pair, choice and voter. Of one that cannot be kept the browser is told why."""
        try:
            length = min(max(int(self.headers.get("Content-Length", 0)), 0), 10_000)
            body = json.loads(self.rfile.read(length))
            self._poll.vote(str(body["pair"]), str(body["choice"]), str(body["voter"]))
        except (ValueError, KeyError, TypeError):
            self.send_error(400, "no vote on a pair that is asked here")
        except TimeoutError:
            self.close_connection = True
        except OutputError as error:
            self._send(str(error).encode(), "text/plain; charset=utf-8", status=507)
        else:
            self._send(b"{}", "application/json")

    def _send(self, data: bytes, kind: str, *, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        # a browser that went on to the next pair takes no more of this one's clips
        with contextlib.suppress(ConnectionError):
            self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: every clip would be a line."""
