"""What there is: methods, metrics, pretrained networks and suites, each by its name with a paragraph, at any width."""

from __future__ import annotations

import textwrap

from rich.console import Console
from rich.text import Text

from benchmarks.methods import METHODS
from benchmarks.metrics import METRICS, NotAvailable
from benchmarks.metrics.together import TOGETHER
from benchmarks.networks import NETWORKS, located
from benchmarks.settings import BenchSettings
from benchmarks.suite import SCENES
from benchmarks.suites import find_suite, suite_names

_INDENT = " " * 4
_console = Console(highlight=False, markup=False)


def list_methods() -> None:
    """Print all methods, with what each needs."""
    for method in METHODS.values():
        facts = {
            _tasks(method.tasks): True,
            "an oracle, without a rank": not method.ranked,
            "learns from the train split": method.learns_here,
            "follows a reference picture": method.needs_reference,
            "is given the first frame's mask": method.first_mask,
            f"needs {', '.join(method.networks)}": bool(method.networks),
        }
        told = method.summary if method.paper == "-" else f"{method.summary} ({method.paper})"
        _entry(method.name, "; ".join(fact for fact, holds in facts.items() if holds), told)
    _console.print(
        "others are scored beside them: --method FILE.py:OBJECT, --model FOLDER, --predictions FOLDER of 'bench run'; "
        "'bench networks' says which networks are here",
        soft_wrap=True,
    )


def list_metrics() -> None:
    """Print all metrics."""
    for metric in (*METRICS.values(), *TOGETHER.values()):
        better = "higher is better" if metric.higher_is_better else "lower is better"
        facts = [_tasks(metric.tasks), metric.unit, better, f"version {metric.version}"]
        _entry(metric.name, "; ".join(fact for fact in facts if fact), metric.in_full())


def list_networks(settings: BenchSettings) -> None:
    """Print all pretrained networks, who uses them, and which are here."""
    for network in NETWORKS.values():
        users = [one.label for one in (*METRICS.values(), *TOGETHER.values()) if network.name in one.networks]
        users += [one.name for one in METHODS.values() if network.name in one.networks]
        try:
            place = located(network.name, settings.weights.model_dump())
        except NotAvailable:
            place = "not here"
        _entry(network.name, place, f"{network.what}; for {', '.join(users)}")
    _console.print(
        "--set weights.NAME=PLACE names a file, a folder or a name on Hugging Face's hub; nothing is fetched"
    )


def list_suites() -> None:
    """Print all suites."""
    told = "procedural scenes with all that is to be known of them, and a sweep of the damage of each task"
    _entry(SCENES, "all tasks; needs no --data", told)
    for name in suite_names():
        suite = find_suite(name)
        inside = f" with {' or '.join(suite.folder)} in it" if suite.folder else ""
        _entry(name, f"{suite.task}; --data as for {suite.layout}:PATH{inside}", suite.protocol)


def _tasks(tasks: tuple[str, ...]) -> str:
    return ", ".join(tasks) or "all tasks"


def _entry(name: str, facts: str, told: str) -> None:
    # a pattern of files or an option is not to be broken at its hyphens
    head = textwrap.fill(f"{name}  {facts}", _console.width, subsequent_indent=2 * _INDENT, break_on_hyphens=False)
    _console.print(Text.assemble((head[: len(name)], "bold"), (head[len(name) :], "dim")), soft_wrap=True)
    _console.print(
        textwrap.fill(told, _console.width, initial_indent=_INDENT, subsequent_indent=_INDENT), soft_wrap=True
    )
