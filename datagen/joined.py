"""Which names hang together by pairs."""

from __future__ import annotations

from collections.abc import Iterable


class Joined:
    """Which names hang together by pairs, directly or through others."""

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self._parents: dict[str, str] = {}
        for pair in pairs:
            self.join(*pair)

    def root(self, name: str) -> str:
        """Return the one name that stands for all that hang together with this one."""
        while (parent := self._parents.get(name, name)) != name:
            # shorter for the next time
            self._parents[name] = self._parents.get(parent, parent)
            name = parent
        return name

    def families(self, names: Iterable[str]) -> list[tuple[str, ...]]:
        """Return those of `names` that hang together with another of them, sorted."""
        found: dict[str, list[str]] = {}
        for name in sorted(set(names)):
            found.setdefault(self.root(name), []).append(name)
        return sorted(tuple(family) for family in found.values() if len(family) > 1)

    def join(self, name: str, other: str) -> bool:
        """Join two names; False where they were."""
        first, second = sorted((self.root(name), self.root(other)))
        self._parents[second] = first
        return first != second
