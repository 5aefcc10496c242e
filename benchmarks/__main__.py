"""Lets `python -m benchmarks` stand for the `bench` command."""

from benchmarks.cli import main

main()
