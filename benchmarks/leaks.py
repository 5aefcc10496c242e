"""Who has seen the test videos before: such a score is not ranked."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.scoring import Job
from benchmarks.suite import Suite


@dataclass(frozen=True, kw_only=True)
class Leak:
    """A method that learnt from videos it is scored on."""

    task: str
    method: str
    keys: list[str]
    """The samples concerned."""

    @property
    def told(self) -> str:
        """What is said of it, in one line."""
        named = ", ".join(self.keys[:3]) + (f" and {len(self.keys) - 3} more" if len(self.keys) > 3 else "")
        return f"{self.method} has learnt from the videos of {len(self.keys)} {self.task} samples that it is scored on: {named}"


def find_leaks(jobs: list[Job], suite: Suite) -> list[Leak]:
    """Return the methods that learnt from a video of the split that is scored.

    What a method was trained on it says itself (a VIDiff does, in `training_data.json`); what learns from the dataset's own
    train split is compared with that.
    """
    leaks = []
    for job in jobs:
        if not job.method.learns:
            continue
        seen = job.method.trained_on
        if seen is None and (job.method.weights or job.method.networks):
            continue  # it does not say; the table does
        if seen is None:
            seen = frozenset(suite.dataset.index(job.task, "train")["source_sha256"].to_pylist())
        keys = [row["key"] for row in job.rows if row["source_sha256"] in seen]
        if keys:
            leaks.append(Leak(task=job.task, method=job.method.name, keys=keys))
    return leaks
