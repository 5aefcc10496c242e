"""Which answer people prefer: blind pairs on a local page, every vote kept at once, win rates and a Bradley-Terry order."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import itertools
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.report.stored import load_run, scored_dataset
from benchmarks.runner import prediction_path
from benchmarks.studies.report import Record, Study
from benchmarks.ties import LEAST_VIDEOS, LEVEL
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
_STEPS = 100
"""Of Newton's method at most; it takes about ten."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two answers to one sample, in the order in which they are shown."""

    task: str
    key: str
    left: str
    right: str

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
    kept: dict[tuple[str, str], list[str]] = {}
    for row in run.rows:
        wanted = (not tasks or row["task"] in tasks) and (row["method"] in methods if methods else row["ranked"])
        if wanted and row["status"] == "ok" and prediction_path(folder, row).is_file():
            kept.setdefault((row["task"], row["key"]), []).append(row["method"])
    rng = np.random.default_rng(seed)
    pairs = []
    for (task, key), names in sorted(kept.items()):
        for a, b in itertools.combinations(sorted(set(names)), 2):
            left, right = (a, b) if rng.random() < 0.5 else (b, a)
            pairs.append(Pair(task=task, key=key, left=left, right=right))
    if not pairs:
        raise DatasetError(f"{folder} keeps no two answers to one sample; run it with two methods at least")
    order = rng.permutation(len(pairs))
    return [pairs[n] for n in order][:limit]


class Poll:
    """Serves pairs one after another and keeps each vote at once."""

    def __init__(self, folder: Path, pairs: Sequence[Pair]) -> None:
        self._folder, self._pairs = folder, {pair.name: pair for pair in pairs}
        run = load_run(folder)
        self._rows = {(row["task"], row["key"], row["method"]): row for row in run.rows}
        self._dataset = scored_dataset(folder, run)

    def next_for(self, voter: str) -> dict[str, Any]:
        """Return the next pair that a voter has not seen: its name and what to show, nothing about the methods."""
        seen = {vote["pair"] for vote in read_votes(self._folder) if vote["voter"] == voter[:_LONGEST]}
        waiting = [pair for name, pair in self._pairs.items() if name not in seen]
        if not waiting:
            return {"done": len(seen)}
        pair = waiting[0]
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
    videos = {row["key"]: row["video"] for row in load_run(folder).rows}
    # a sample that an earlier run in the folder had, and the present one has not, stands for itself
    votes = [vote | {"video": videos.get(vote["key"], vote["key"])} for vote in votes]
    records: list[Record] = []
    for task in sorted({vote["task"] for vote in votes}):
        records += _of_task(task, [vote for vote in votes if vote["task"] == task])
    voters = len({vote["voter"] for vote in votes})
    return Study(
        name="preference",
        question=f"Which answer do people prefer? {counted(len(votes), 'vote')} of {counted(voters, 'voter')}, blind "
        "and shuffled.",
        records=records,
        words=(
            "Win rate: share of its votes that a method won, a tie counting half; brackets: 95 % intervals (Wilson's) that take "
            f"videos, not votes, as independent; none below {LEAST_VIDEOS} videos. Strength: Bradley-Terry, as the chance to "
            "beat the average method of the task.",
        ),
    )


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


def rate_interval(won: NDArray[np.float64], votes: NDArray[np.float64]) -> tuple[float, float] | tuple[None, None]:
    """Return the 95 % interval of a win rate from wins and votes by video; None for fewer than 6 videos with votes.

    Wilson's (1927), with Student's quantile, for the normal one covers 92 % for some rates of 10 or 15 videos. Votes on one
    video are alike, so the videos are its number of trials: (sum w)^2 / sum w^2 of them where they have w votes (Kish 1965).
    """
    from scipy.stats import t

    videos = int((votes > 0).sum())
    if videos < LEAST_VIDEOS:
        return None, None
    rate, count = won.sum() / votes.sum(), votes.sum() ** 2 / (votes**2).sum()
    z = t.ppf(0.5 + LEVEL / 2, videos - 1)
    middle = (rate + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * math.sqrt(rate * (1 - rate) / count + z**2 / (4 * count**2))
    return float(max(middle - half, 0)), float(min(middle + half, 1))


def bradley_terry(wins: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each method's strength from counts [n n] (row beat column), as the chance to beat the average one: [n].

    Bradley & Terry (1952): the most likely strengths, with half a win each way between all pairs, so that who has won
    everything stays finite. By Newton's method, for the usual iteration (Hunter 2004) takes thousands of steps where few
    pairs have most of the votes; steps are halved until they make the votes likelier.
    """
    count = len(wins)
    prior = wins + 0.5 * (1 - np.eye(count))
    games = prior + prior.T
    theta = np.zeros(count)
    for _ in range(_STEPS):
        chance = np.exp(_log_chances(theta))
        information = -games * chance * chance.T
        np.fill_diagonal(information, 0)
        np.fill_diagonal(information, -information.sum(axis=1))
        # a constant added to all strengths changes nothing; 1 / n everywhere keeps their mean where it is, at 0
        step = np.linalg.solve(information + 1 / count, prior.sum(axis=1) - (games * chance).sum(axis=1))
        while (prior * (_log_chances(theta + step) - _log_chances(theta))).sum() < -1e-9:
            step /= 2
        theta += step
        if np.abs(step).max() < 1e-9:
            break
    found: NDArray[np.float64] = 1 / (1 + np.exp(-theta))
    return found


def _log_chances(theta: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logarithm of the chance that the row beats the column: [n n]."""
    return -np.logaddexp(0, theta[None] - theta[:, None])


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
