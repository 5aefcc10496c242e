"""Virtual KITTI 2 (Cabon et al. 2020): rendered drives with exact depth, seen by two cameras, in sun and in fog."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from configs import SourceError
from datagen.sources.layouts import Layout
from datagen.sources.library import Entry

_FPS = 10.0
"""KITTI's, whose drives were rebuilt."""
_CENTIMETRE = 0.01
_SKY = 655.3
"""Metres: 65535 cm, the largest number that 16 bits hold, stands for everything from there on."""
_VIEWS = ("clone", "15-deg-left", "15-deg-right", "30-deg-left", "30-deg-right")
"""The drives by day; `morning`, `sunset`, `overcast` and `rain` show the same once more in another light."""
_FOGGY, _CLEAR = "fog", "clone"


def entries(path: Path) -> Iterator[Entry]:
    """Yield every drive (`Scene01/clone/frames/rgb/Camera_0`) with its depth; `clone` with `fog` as a pair where both are.

    It does not matter whether the archives were unpacked into one folder or side by side (`vkitti_2.0.3_rgb`,
    `vkitti_2.0.3_depth`). All drives of a scene come into one split.

    Raises:
        SourceError: there is none.
    """
    root = path.absolute()
    folders = [folder for folder in _cameras(root, "rgb") if folder.parts[-4] in _VIEWS]
    if not folders:
        raise SourceError(f"{path} is not of the layout vkitti2: no SceneNN/clone/frames/rgb/Camera_0 in it")
    depths = {_place(folder): folder for folder in _cameras(root, "depth")}
    for folder in folders:
        scene, view, camera = _place(folder)
        foggy = folder.parents[3] / _FOGGY / "frames" / "rgb" / camera
        paired = view == _CLEAR and foggy.is_dir()
        depth = depths.get((scene, view, camera))
        yield Entry(
            id=f"{scene}-{view}-{camera}",
            name=folder.relative_to(root).as_posix(),
            main=str(folder.resolve()),
            pair=str(foggy.resolve()) if paired else "",
            task="dehaze" if paired else "",
            depth=str(depth.resolve()) if depth else "",
            facts={"depth_scale": _CENTIMETRE, "depth_sky": _SKY} if depth else {},
            fps=_FPS,
            group=f"vkitti2 {scene}",
        )


def _cameras(root: Path, what: str) -> list[Path]:
    """List `SceneNN/VIEW/frames/WHAT/Camera_N` in a folder, or one folder deeper, or where the folder is a scene itself."""
    inside = f"*/frames/{what}/Camera_*"
    patterns = [inside] if root.name.startswith("Scene") else [f"Scene*/{inside}", f"*/Scene*/{inside}"]
    return sorted(folder for pattern in patterns for folder in root.glob(pattern) if folder.is_dir())


def _place(folder: Path) -> tuple[str, str, str]:
    return folder.parts[-5], folder.parts[-4], folder.name


LAYOUT = Layout(
    summary="Virtual KITTI 2: SceneNN/clone|15-deg-left/frames/rgb and depth, with fog as a pair",
    entries=entries,
    marker="Scene*/clone/frames",
)
