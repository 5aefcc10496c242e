"""What to do about clips that were left out, a line for each kind of reason."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

_FILE = "see whether the file plays elsewhere, replace it, and build with --retry-failed"
_NONE_NEEDED = "nothing to do, the other one is in"
_WHOLE = "files of the data set lack: download or unpack it whole"
_WORDS = "video with object masks and words for them (--from scenes, ref-davis:PATH), or leave the task out"
_SETTING = "--set gates.{} lets more in"
REMEDIES = {
    # videos
    "unreadable": _FILE,
    "undecodable": _FILE,
    "too short": "longer video, or shorter clips: --set clip.frames=8, clip.step=1, clip.remainder=true",
    "too small": "clips no larger than the video: a smaller --size, or native",
    "duplicate": _NONE_NEEDED,
    "near-duplicate": f"{_NONE_NEEDED}; --set gates.copy_bits=0 keeps all copies",
    "rejected": "taken out by you; 'datagen forget' takes that back",
    "missing": _WHOLE,
    "no such file": _WHOLE,
    "unpaired": _WHOLE,
    # clips
    "black": _SETTING.format("min_brightness=4"),
    "blown out": _SETTING.format("max_brightness=252"),
    "flat": _SETTING.format("min_contrast=2"),
    "still": f"frames further apart (clip.step); {_SETTING.format('min_motion=0')}",
    "frozen": f"a lower --fps skips repeated frames; {_SETTING.format('max_duplicates=0.9')}",
    "cut": f"search shorter videos for cuts, too (--set clip.shots_over=0), or shorter clips; {_SETTING.format('max_jump=4')}",
    "black bars": f"crop the video first; {_SETTING.format('max_borders=0.2')}",
    "lettering": _SETTING.format("max_lettering=0.02"),
    "out of focus": _SETTING.format("min_sharpness=2"),
    "crashed": "too large for this machine, mostly: a smaller --size, more limits.clip_seconds or limits.worker_bytes",
    "failed": "the reason names the error; --retry-failed tries again",
    # pairs
    "no change": (
        "nothing moved, or the effect shows too little: livelier video or a stronger effect, for deblur --set "
        f"'tasks.deblur.kinds={{shake: 1, defocus: 1}}'; {_SETTING.format('max_pair_psnr=55')}"
    ),
    "overdone": _SETTING.format("max_pair_changed=1"),
    "changed outside its mask": "the pair and its mask do not fit each other: mend them",
    "another picture": "more engine.candidates, or a lower engine.min_pair_clip_image",
    "not as described": "more engine.candidates, or a lower engine.min_pair_clip_text",
    "another change": "more engine.candidates, or a lower engine.min_pair_clip_direction",
    "hazy or pale itself": "--set tasks.dehaze.max_black_point=60 lets more in",
    "colourless": "--set tasks.recolor.min_colourfulness=4 lets more in",
    "no room for an exposure": "longer shots, or a shorter one: --set 'tasks.deblur.exposure=[0.004, 0.008]'",
    "no object masks": "video with object masks (--from scenes, davis:PATH, a table's masks), or leave the task out",
    "nothing to refer to": _WORDS,
    "no edit": "other kinds of edit in tasks.edit.kinds, or video with object masks",
}
"""By kind of reason. What is not here says itself what to do: `interlaced: ... deinterlace it first`."""


def in_remedies(kinds: Iterable[str]) -> Iterator[str]:
    """Say what helps against each of these kinds, a line each."""
    known = sorted(REMEDIES.keys() & set(kinds))
    if known:
        yield "what helps; with other settings build into another --out:"
    yield from (f"  {kind}: {REMEDIES[kind]}" for kind in known)
