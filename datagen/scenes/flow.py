"""Optical flow of a rendered scene."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from datagen.scenes.camera import pose_of, view_at
from datagen.scenes.description import Scene
from datagen.scenes.render import Rendered


def optical_flow(scene: Scene, rendered: Rendered) -> NDArray[np.float32]:
    """Return float32 [t-1 h w 2]: how far each pixel's surface point moves to the next frame, (columns, rows).

    Exact: the point that a pixel shows is taken back to metres (or to its place on the thing) and projected again.
    """
    v, u = np.mgrid[0 : scene.height, 0 : scene.width].astype(np.float32)
    flow = np.empty((scene.frames - 1, scene.height, scene.width, 2), np.float32)
    for i in range(scene.frames - 1):
        now, then = view_at(scene, i), view_at(scene, i + 1)
        ratio = rendered.depth[i] / (rendered.depth[i] + now.z - then.z)
        world_x = (u - scene.width / 2) * rendered.depth[i] / scene.focal + now.x - then.x
        world_y = (now.row_of_horizon - v) * rendered.depth[i] / scene.focal + now.y - then.y
        scale = ratio * scene.focal / rendered.depth[i]
        flow[i, ..., 0] = scene.width / 2 + world_x * scale - u
        flow[i, ..., 1] = then.row_of_horizon - world_y * scale - v
        for k, thing in scene.shown:
            shown = rendered.ids[i] == k
            step = pose_of(then, thing) @ np.linalg.inv(pose_of(now, thing))
            points = np.stack([u[shown], v[shown], np.ones(shown.sum(), np.float32)])
            flow[i][shown] = ((step @ points)[:2] - points[:2]).T
    return flow
