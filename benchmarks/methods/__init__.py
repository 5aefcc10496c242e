"""What is scored: one file per family, each method with its paper."""

from benchmarks.methods.base import Context, Method
from benchmarks.methods.registry import METHODS, check_methods, methods_for

__all__ = ["METHODS", "Context", "Method", "check_methods", "methods_for"]
