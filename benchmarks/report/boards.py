"""Leaderboards as data: what every form of the report is made from, computed from rows each time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from benchmarks import kept
from benchmarks.methods import METHODS
from benchmarks.metrics import METRICS, Column, Metric, get_metrics, headline
from benchmarks.metrics.together import TOGETHER, get_together
from benchmarks.report.remarks import notes_of, remarks_of
from benchmarks.runner import Run
from benchmarks.scoring import Row
from benchmarks.settings import BenchSettings, Reported, SuiteSettings
from benchmarks.statistics import Entry, Estimate, leaderboard, shares
from benchmarks.suite import lacking
from benchmarks.ties import LEAST_VIDEOS
from configs import counted

FAILED = "†"
"""Behind a mean that failed samples stand in."""
CONVENTIONS = (
    "A score is the mean over videos of per-video means, where no protocol says otherwise; brackets are 95 % intervals from "
    f"drawing whole videos again (none below {LEAST_VIDEOS} videos).",
    "Methods share ranks where the videos cannot tell them apart, 2-4 for one that may be second, third or fourth: sign-flip "
    "tests of all pairs on the first metric, corrected after Holm, so that any false difference in a table has a chance of 5 % "
    "where methods are exchangeable; not where a few failures make a mean. Oracles (o) know the target and have no rank.",
    "A sample on which a method failed counts as the metric's worst value. Means of a method with such "
    f"samples are marked {FAILED}. s/frame are seconds per frame, warm, measured apart on a worker that "
    "does nothing else; the first answer and the loading before it are the cold cost.",
    "Identity returns its input: a method below it does harm. Methods marked * have learnt: those of the bench "
    "from this dataset's train split, a model from what its folder lists; one that does not list all is marked ?.",
)


IN_SHORT = (
    "#: rank; 2-4: second to fourth, which the videos cannot tell (sign flips, Holm). Brackets: 95 % intervals over videos, none "
    f"below {LEAST_VIDEOS}.",
    "(o) knows the target, no rank; * has learnt, ? from nobody knows what; identity returns its input: a method below it does "
    "harm.",
    "failed: samples without an answer, each counts as the worst value, in means marked †. s/frame: seconds per frame, once "
    "loaded.",
)
"""What a reader of a table has to know."""
ORACLE = "(o)"


@dataclass(frozen=True, kw_only=True)
class Line:
    """An entry with what is said about its method."""

    entry: Entry
    cost: Row
    mark: str
    """As `mark_of` gives it."""
    parameters: int | None
    notes: tuple[str, ...]

    @property
    def name(self) -> str:
        """The method with its mark."""
        return f"{self.entry.method} {self.mark}".rstrip()

    @property
    def rank(self) -> str:
        """The rank as a reader sees it: `1`, `2-4`, or a dash."""
        if self.entry.rank is None:
            return "-"
        first, last = self.entry.rank
        return str(first) if first == last else f"{first}-{last}"

    @property
    def seconds_per_frame(self) -> float | None:
        """Warm; None where it was not measured apart, for what took how long while all were scored says little."""
        found: float | None = self.cost.get("warm_seconds_per_frame")
        return found


@dataclass(frozen=True, kw_only=True)
class Board:
    """One contest's leaderboard: a task, or a task with something given away."""

    task: str
    name: str
    metrics: list[Column]
    """Those that head the table; the first one ranks."""
    more: list[Column]
    """The others that have values."""
    lines: list[Line]
    least_difference: float | None
    samples: int
    videos: int
    joined: int = 0
    """How many videos these were before copies, and others of one group, counted as one; 0 where none did."""
    unavailable: Mapping[str, str] = field(default_factory=dict)
    """Why metrics could not be had, by their labels."""
    average: str = "videos"
    """What counts alike in its means, as its suite says."""
    protocol: str = ""
    """What a standard suite measures, in words."""
    not_scored: str = ""
    """Which of the dataset's tasks could not be scored at all, in words; the same on every board."""
    left_out: tuple[str, ...] = ()
    """In what this is not the whole test set of the papers, a phrase each."""
    parts: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """The mean of the metric that ranks by part of the suite and method."""
    reported: tuple[Reported, ...] = ()
    """What papers say of the same test set; never ranked with what was measured."""
    remarks: tuple[str, ...] = ()
    """What is to be known of the samples, a sentence each."""

    @property
    def first(self) -> Metric:
        """The metric that ranks."""
        return METRICS[self.metrics[0].name]

    @property
    def ranked(self) -> list[Line]:
        """The lines that have a rank."""
        return [line for line in self.lines if line.entry.rank is not None]

    @property
    def tells_apart(self) -> bool:
        """Whether any two methods differ by more than chance: else they all share one rank, as below `LEAST_VIDEOS` videos."""
        return len({line.entry.rank for line in self.ranked}) > 1

    @property
    def warning(self) -> str:
        """A line for every report of what is not the whole test set; else nothing."""
        if not self.left_out:
            return ""
        beside = ", while reported numbers are for all of it and cannot be compared" * bool(self.reported)
        return f"NOT THE WHOLE TEST SET: {', '.join(self.left_out)}{beside}"

    @property
    def size(self) -> str:
        """How much it rests on, and what that can tell."""
        told = f"{counted(self.samples, 'clip')} of {counted(self.videos, 'video')}"
        if self.joined:
            told += f" (of {self.joined}; copies, and videos of one group, count as one)"
        first = self.metrics[0]
        told += f", ranked by {first.label}"
        if self.videos < LEAST_VIDEOS:
            return f"{told}; below {LEAST_VIDEOS} videos nothing can be told apart: none is marked best"
        if self.least_difference is not None:
            unit = f" {first.unit}" * bool(first.unit)
            least = f"{self.least_difference:.{first.digits}f}{unit}"
            told += f"; can tell apart methods that differ by {least} or more"
        if len(self.ranked) > 1 and not self.tells_apart:
            count = len(self.ranked)
            # where some difference would have been found, it is not the number of videos that is to blame
            found = f"{self.videos} videos cannot tell {count} methods apart"
            told += f"; {found if self.least_difference is None else f'these {count} are not told apart'}: none is marked best"
        return told


def make_boards(run: Run, settings: BenchSettings) -> list[Board]:
    """Compute the leaderboard of every contest that has rows."""
    return [_board(run, settings, task, name) for task, name in sorted({(r["task"], r["board"]) for r in run.rows})]


def standard_of(run: Run, task: str) -> SuiteSettings | None:
    """Return the standard suite that a run scored, None if that is none or is for another task."""
    suite = suite_of(run)
    return suite if suite is not None and suite.task == task else None


def suite_of(run: Run) -> SuiteSettings | None:
    """Return the standard suite that a run scored, None if that is none."""
    return SuiteSettings(**run.facts["suite"]) if run.facts.get("suite") else None


def _board(run: Run, settings: BenchSettings, task: str, name: str) -> Board:
    own = [row for row in run.rows if row["task"] == task]
    # what everybody is compared with stands on every board of the task
    rows = [row for row in own if row["board"] == name or row["method"] == "identity" or not row["ranked"]]
    leaks = {leak.method: leak.told for leak in run.leaks if leak.task == task}
    oracles = {row["method"] for row in rows if not row["ranked"]}
    # the first one that has values ranks: without masks, a hole has no PSNR
    measured = {name for row in rows for name in row.get("scores", {})}
    standard = standard_of(run, task)
    metrics = [metric for metric in _ordered(task, standard) if metric.name in measured] or get_metrics(task)
    average = standard.average if standard else "videos"
    ranking = leaderboard(
        rows,
        metrics,
        draws=settings.bootstrap,
        permutations=settings.permutations,
        seed=settings.seed,
        unranked=[*leaks, *oracles],
        shares=shares(rows, average),
    )
    entries = [_with_together(entry, run.together.get((task, entry.method), {})) for entry in ranking.entries]
    told = [one for one in get_together(task) if any(one.name in entry.scores for entry in entries)]
    wanted = (standard.metrics if standard else ()) or [metric.name for metric in headline(task)]
    columns: list[Column] = [*metrics, *told]
    head = [one for one in columns if one.name in wanted] or columns[:1]
    videos = {row["video"] for row in rows}
    clean = {row.get("clean", row["video"]) for row in rows}
    return Board(
        task=task,
        name=name,
        metrics=sorted(head, key=lambda one: wanted.index(one.name) if one.name in wanted else 0),
        more=[one for one in columns if one not in head],
        lines=[_line(entry, run, task, rows, leaks) for entry in entries],
        least_difference=ranking.least_difference,
        samples=max(entry.samples for entry in ranking.entries),
        videos=max(entry.videos for entry in ranking.entries),
        joined=len(clean) if len(clean) > len(videos) else 0,
        unavailable=_unavailable(rows, [run.together.get((task, entry.method), {}) for entry in entries]),
        average=average,
        not_scored=run.facts.get("not_scored", ""),
        parts=_parts(rows, metrics[0], standard, settings),
        remarks=tuple(remarks_of(rows)),
        **_protocol(standard, rows, settings.limit, run.facts.get("left_out", ())),
    )


def _with_together(entry: Entry, said: Row) -> Entry:
    found = {name: Estimate(mean=value) for name, value in kept.values_of(said).items()}
    return replace(entry, scores={**entry.scores, **found})


def _unavailable(rows: Sequence[Row], together: Sequence[Row]) -> dict[str, str]:
    """Return each metric that nobody has because something is missing here, by its label, with the reason."""
    found = {name: why for row in rows for name, why in row.get("unavailable", {}).items() if name in METRICS}
    found |= {name: why for said in together for name, why in kept.reasons_of(said).items()}
    scored = {name for row in rows for name in row.get("scores", {})}
    scored |= {name for said in together for name in kept.values_of(said)}
    columns: dict[str, Column] = {**METRICS, **TOGETHER}
    return {one.label: found[name] for name, one in columns.items() if name in found and name not in scored}


def _ordered(task: str, standard: SuiteSettings | None) -> list[Metric]:
    """Return a task's metrics, those first that head the table."""
    metrics = get_metrics(task)
    wanted = [METRICS[name] for name in standard.metrics if name in METRICS] if standard else []
    return [*wanted, *(metric for metric in metrics if metric not in wanted)]


def _protocol(
    standard: SuiteSettings | None, rows: Sequence[Row], limit: int | None, left_out: Sequence[str]
) -> dict[str, Any]:
    if standard is None:
        return {}
    # the numbers follow from the rows, whatever a file says
    told = dict.fromkeys([*lacking(standard, rows, limit), *left_out])
    return {"protocol": standard.protocol, "left_out": tuple(told), "reported": standard.reported}


def _parts(
    rows: Sequence[Row], metric: Metric, standard: SuiteSettings | None, settings: BenchSettings
) -> dict[str, dict[str, float]]:
    if standard is None or not standard.parts:
        return {}
    found = {}
    for part in sorted({row["part"] for row in rows}):
        own = [row for row in rows if row["part"] == part]
        ranking = leaderboard(
            own,
            [metric],
            draws=settings.bootstrap,
            permutations=settings.permutations,
            seed=settings.seed,
            shares=shares(own, standard.average),
        )
        found[f"{standard.parts} {part}"] = {
            entry.method: entry.scores[metric.name].mean for entry in ranking.entries if metric.name in entry.scores
        }
    return found


def conventions_of(boards: Sequence[Board]) -> list[tuple[Column, str]]:
    """Return every metric of the boards once, with its convention in full."""
    found = {metric.name: (metric, board.average) for board in boards for metric in [*board.metrics, *board.more]}
    return [(metric, metric.in_full(average)) for metric, average in found.values()]


def _line(entry: Entry, run: Run, task: str, rows: Sequence[Row], leaks: dict[str, str]) -> Line:
    row = next(row for row in rows if row["method"] == entry.method)
    cost = run.costs.get((task, entry.method), {})
    leak = [leaks[entry.method]] if entry.method in leaks else []
    return Line(
        entry=entry,
        # who never answers is not fast
        cost={} if entry.failures == entry.samples else cost,
        mark=mark_of(row),
        parameters=row["parameters"] or cost.get("parameters"),
        notes=(*leak, *notes_of(entry, rows, cost)),
    )


def mark_of(row: Row) -> str:
    """Return what stands behind a method's name: `(o)` oracle, `*` has learnt, `?` has learnt from nobody knows what."""
    if not row["ranked"]:
        return ORACLE
    if not row["learns"]:
        return ""
    return "*" if row["knows_its_data"] else "?"


def describe_method(row: Row) -> dict[str, Any]:
    """Return name, summary and paper of the method of a row."""
    known = METHODS.get(row["method"])
    return {
        "name": row["method"],
        "summary": row["summary"] or (known.summary if known else ""),
        "paper": row["paper"] or (known.paper if known else ""),
    }
