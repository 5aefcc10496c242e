"""Lets `python -m datagen` stand for the `datagen` command."""

from datagen.cli import main

main()
