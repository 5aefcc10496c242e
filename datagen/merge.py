"""Making one dataset of several: samples are copied byte for byte, and no source video may end up in two splits."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import Any

from configs import ConfigError, DatasetError, OutputError
from datagen.destination import IDENTITY, NOTES
from datagen.joined import Joined
from datagen.leaks import check_leaks
from datagen.ledger import check_foreign, clear, locked
from datagen.merge_rejects import merged_rejects, told_turned_away, turned_away
from datagen.parts import Part, Pick, picks_of
from datagen.plan import clips_for_parallelism
from datagen.publishing import contents
from datagen.rejects import NAME as REJECTS
from datagen.rejects import kind_of, read_rejects
from datagen.settings import Recipe
from datagen.splits import SPLITS
from shards import Dataset, EncodedSample, Manifest, Shard, load_manifest, verify, write_card, write_shard
from shards.manifest import NAME as MANIFEST
from shards.reader import differing_members
from shards.storage import publish_json, publishing, remove_temporaries

_NOTE = "merge.json"
"""In `.build` while a merge is at work: what a killed one left is cleared by the next."""
_TAR_END = 10_240
"""Bytes that tarfile closes a shard with, at most."""
_ROUNDING = 1.0
"""Per cent of train by which a share may miss its weight without a word."""
Step = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and of how much."""


def merge(
    folders: Sequence[Path],
    out: Path,
    *,
    weights: Sequence[float] = (),
    seed: int = 0,
    step: Step = lambda what, done, total: None,
    tell: Callable[[str], None] = lambda line: None,
) -> Manifest:
    """Write the samples of all `folders` into one dataset and return its manifest.

    `weights`: a share for each folder. Then the merged train split has these shares, as large as they allow: each
    dataset gives every source video's first sample (in an order drawn by `seed`) before any second one. Validation and
    test samples are always kept whole. What shows a video that one of the datasets rejected stays out, and `tell` is called
    with a line on that. A killed merge is made anew by the same call.

    Raises:
        ConfigError: the weights do not fit the folders, or these are fewer than two.
        DatasetError: a folder is no sound dataset, one source video is in different splits, or one key names two
            samples.
        OutputError: `out` is not empty or cannot be written.
    """
    _check_arguments(folders, weights)
    _check_out(out)
    # checking may take hours, and nobody else must begin there meanwhile
    with locked(out):
        _check_out(out)
        shares: Sequence[float | None] = weights or [None] * len(folders)
        parts = [_open(folder, share, step) for folder, share in zip(folders, shares, strict=True)]
        found = [pick for number, part in enumerate(parts) for pick in picks_of(number, part.dataset)]
        away = turned_away(parts, found)
        for line in told_turned_away(parts, away, found):
            tell(line)
        alike = check_leaks([(part.name, part.dataset) for part in parts], away)
        own = _without_doubles(parts, (pick for pick in found if pick.source_sha256 not in away))
        picks = weighted(parts, own, seed) if weights else own
        rejected = [pick for pick in found if pick.source_sha256 in away]
        recipe = _recipe(parts, (rejected, own, picks), seed)
        _claim(out, recipe)
        shards = _write(out, parts, picks, recipe["shard_megabytes"] * 2**20, step)
        manifest = _publish(out, parts, recipe, shards, alike, merged_rejects(parts, picks, away))
        shutil.rmtree(out / NOTES)
    return manifest


def told_doubles(part: Mapping[str, Any], folder: Path) -> str:
    """Say how many samples of a merged dataset's part are those of another part, too, and count there; or nothing."""
    samples = load_manifest(folder).samples - part["rejected_samples"]
    own = part["samples"] - part["train_samples"] + part["own_train_samples"]
    return f"; {samples - own} of its {samples} are in another part, too, and count there" if own < samples else ""


def told_shares(manifest: Manifest) -> str:
    """Say how many train samples the weights of a merged dataset left out, for want of which, and which shares they missed."""
    parts = [part for part in manifest.parts if part["weight"]]
    own, kept = (sum(part[name] for part in parts) for name in ("own_train_samples", "train_samples"))
    if kept == own:
        return ""
    asked = [100 * part["weight"] / sum(part["weight"] for part in parts) for part in parts]
    came = [100 * part["train_samples"] / kept for part in parts]
    short = min(range(len(parts)), key=lambda n: parts[n]["own_train_samples"] / parts[n]["weight"])
    missed = [
        f"{part['name']} is {got:.1f} % of it in place of {share:.1f} %"
        for part, share, got in zip(parts, asked, came, strict=True)
        if abs(got - share) > _ROUNDING or not got
    ]
    return (
        f"train has {kept} of {own} samples, because {parts[short]['name']} has only {parts[short]['own_train_samples']} for its "
        f"share of {asked[short]:.1f} %" + (f"; in whole samples {', '.join(missed)}" if missed else "")
    )


def _check_arguments(folders: Sequence[Path], weights: Sequence[float]) -> None:
    if len(folders) < 2:
        raise ConfigError(f"merging needs at least two datasets, {len(folders)} given")
    if weights and len(weights) != len(folders):
        raise ConfigError(
            f"{len(weights)} weights for {len(folders)} datasets; give --weight once for each dataset, or not at all"
        )
    if weights and (min(weights) < 0 or not 0 < sum(weights) < float("inf")):
        raise ConfigError(f"weights must be 0 or more, and one of them more; given: {', '.join(map(str, weights))}")


def _check_out(out: Path) -> None:
    """Raise `OutputError` unless `out` is new, empty, or holds a merge that was killed."""
    killed = (out / NOTES / _NOTE).is_file() and not (out / MANIFEST).exists()
    if out.is_dir() and not killed:
        strangers = [path.name for path in sorted(out.iterdir()) if path.name != NOTES]
        strangers += [NOTES] if (out / NOTES / IDENTITY).exists() else []
        if strangers:
            raise OutputError(f"{out} is not empty (it has {strangers[0]!r}); choose another --out, or remove it first")
    elif not out.is_dir():
        check_foreign(out)


def _open(folder: Path, weight: float | None, step: Step) -> Part:
    total, done = len(load_manifest(folder).shards), Counter[str]()

    def count(shard: Shard) -> None:
        done["shards"] += 1
        step(f"checking {folder.name}", done["shards"], total)

    # what was damaged would otherwise get a new, valid sha256
    problems = verify(folder, on_shard=count)
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise DatasetError(f"{folder} is not sound: {problems[0]}{more}; 'datagen verify {folder}' says what to do")
    return Part(dataset=Dataset(folder), weight=weight)


def _without_doubles(parts: Sequence[Part], picks: Iterable[Pick]) -> list[Pick]:
    """Keep a sample once that several parts have with equal bytes; other bytes under one key raise `DatasetError`.

    Where one was made by an earlier version, which recorded less, the one that says more is kept.
    """
    kept: dict[str, Pick] = {}
    for pick in picks:
        first = kept.setdefault(pick.key, pick)
        if first is pick:
            continue
        ours, theirs = (parts[p.part].dataset.members(p.key) for p in (first, pick))
        differing = ", ".join(differing_members(ours, theirs))
        if differing:
            folders = [parts[p.part].dataset.root for p in (first, pick)]
            raise DatasetError(
                f"sample {pick.key} is in {folders[0]} and {folders[1]} with other bytes ({differing}); "
                f"leave one of them out, or rebuild one with another seed ('datagen diff' says how they differ)"
            )
        # of two with equal bytes one may have an index that was completed later
        if (len(theirs["meta.json"]), pick.sides) > (len(ours["meta.json"]), first.sides):
            kept[pick.key] = pick
    return list(kept.values())


def weighted(parts: Sequence[Part], picks: Iterable[Pick], seed: int) -> list[Pick]:
    """Thin out the train samples until the parts have the shares that their weights say.

    Raises:
        DatasetError: a part whose weight is not 0 has no train samples.
    """
    picks = list(picks)
    train = [[p for p in picks if p.part == number and p.split == "train"] for number in range(len(parts))]
    for part, found in zip(parts, train, strict=True):
        if part.weight and not found:
            raise DatasetError(
                f"{part.dataset.root} has no train samples of its own to make up its weight {part.weight:g}; "
                "give it the weight 0, or leave it out"
            )
    # exactly, since 7 / 0.7 is not 10 in floating point
    shares = [Fraction(str(part.weight)) for part in parts]
    total = min(len(found) / share for found, share in zip(train, shares, strict=True) if share)
    # to the nearest whole sample, which is never more than there are; of a tie the fewer
    counts = [math.ceil(total * share - Fraction(1, 2)) for share in shares]
    kept = [pick for found, count in zip(train, counts, strict=True) for pick in _taking_turns(found, seed)[:count]]
    return [pick for pick in picks if pick.split != "train"] + kept


def _taking_turns(picks: Iterable[Pick], seed: int) -> list[Pick]:
    """Order samples by a hash, and so that every video has one before any has two; fewer are always among more."""
    seen: Counter[str] = Counter()
    turns = []
    for pick in sorted(picks, key=lambda pick: _place(pick.key, seed)):
        turns.append((seen[pick.clean_sha256], pick))
        seen[pick.clean_sha256] += 1
    return [pick for _, pick in sorted(turns, key=lambda turn: turn[0])]


def _place(key: str, seed: int) -> bytes:
    return hashlib.blake2b(f"merge {seed} {key}".encode(), digest_size=16).digest()


def _recipe(parts: Sequence[Part], groups: Sequence[Sequence[Pick]], seed: int) -> dict[str, Any]:
    """Return what the manifest says in the place of a recipe; `groups` of samples as of `Part.described`."""
    return {
        "merged": [
            part.described(*([pick for pick in group if pick.part == n] for group in groups))
            for n, part in enumerate(parts)
        ],
        "seed": seed,
        "shard_megabytes": min(_shard_megabytes(part.dataset.manifest) for part in parts),
    }


def _shard_megabytes(manifest: Manifest) -> int:
    return int(manifest.recipe.get("shard_megabytes", Recipe.model_fields["shard_megabytes"].default))


def _claim(out: Path, recipe: dict[str, Any]) -> None:
    _check_out(out)
    clear(out)
    remove_temporaries(out)
    publish_json(out / NOTES / _NOTE, recipe)


def _write(out: Path, parts: Sequence[Part], picks: Sequence[Pick], limit: int, step: Step) -> list[Shard]:
    groups: dict[tuple[str, int], list[Pick]] = {}
    for pick in picks:
        groups.setdefault((pick.task, SPLITS.index(pick.split)), []).append(pick)
    shards, done = [], 0
    for (task, split), group in sorted(groups.items()):
        ordered = sorted(group, key=lambda pick: pick.place)
        for number, chunk in enumerate(cut(ordered, limit)):
            shard = write_shard(
                out / task / f"{SPLITS[split]}-{number:06d}.tar", (_copied(parts, pick) for pick in chunk)
            )
            shards += [shard] if shard else []
            done += len(chunk)
            step("copying samples", done, len(picks))
    return shards


def cut(picks: Sequence[Pick], limit: int) -> Iterator[list[Pick]]:
    """Cut the samples of one task and split into shards of at most `limit` bytes; a larger sample gets its own."""
    most = clips_for_parallelism(len(picks))
    chunk: list[Pick] = []
    size = _TAR_END
    for pick in picks:
        if chunk and (len(chunk) == most or size + pick.bytes > limit):
            yield chunk
            chunk, size = [], _TAR_END
        chunk.append(pick)
        size += pick.bytes
    if chunk:
        yield chunk


def _copied(parts: Sequence[Part], pick: Pick) -> EncodedSample:
    dataset = parts[pick.part].dataset
    # the writer puts shard and offsets in their place
    return EncodedSample(key=pick.key, members=dataset.members(pick.key), row=dataset.row(pick.key))


def _publish(
    out: Path,
    parts: Sequence[Part],
    recipe: dict[str, Any],
    shards: list[Shard],
    alike: Iterable[tuple[str, str]],
    lines: Iterable[bytes],
) -> Manifest:
    with publishing(out / REJECTS) as file:
        file.writelines(lines)
    rejects = Counter(kind_of(reject) for reject in read_rejects(out))
    licences, sources, members = contents(out, shards)
    joined = Joined(alike)
    for family in (family for part in parts for family in part.dataset.manifest.families):
        for video in family:
            joined.join(family[0], video)
    inputs = "\n".join(sorted(part.dataset.manifest.inputs for part in parts))
    manifest = Manifest(
        recipe=recipe,
        recipe_digest=_digest(json.dumps(recipe, sort_keys=True)),
        code_version=version("vidiff"),
        inputs=_digest(inputs),
        shards=tuple(shards),
        rejects=dict(sorted(rejects.items())),
        sources=len(sources),
        families=tuple(joined.families(sources)),
    )
    write_card(out, manifest, licences, members)
    manifest.save(out)
    return manifest


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
