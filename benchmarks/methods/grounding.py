"""Published networks that find what words say: CLIPSeg, and Grounding DINO whose box SAM 2 follows."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import cv2
import numpy as np

from benchmarks.methods.base import Answer, Context, Learnt, Method
from benchmarks.methods.segmentation import Masks, painted
from benchmarks.metrics.masks import paint_of
from benchmarks.networks import located, unusable
from shards import Sample
from shards.sample import Video

CLIPSEG_LEVEL = 0.5
"""Probability from which a pixel belongs to the object."""
BOX_LEVEL, TEXT_LEVEL = 0.35, 0.25
"""Of Grounding DINO's own demonstration."""
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def clipseg(context: Context) -> Answer:
    """Return CLIPSeg, frame by frame; it is told the expression, not the sentence around it.

    Raises:
        NotAvailable: its weights cannot be loaded.
    """
    import torch

    model, processor = _load("CLIPSegForImageSegmentation", located("clipseg", context.weights))

    def find(clip: Video, words: str) -> Masks:
        found = []
        for frame in clip:
            inputs = processor(text=[words], images=[frame], padding=True, truncation=True, return_tensors="pt")
            with torch.inference_mode():
                likely = (
                    model(**inputs.to(model.device)).logits.sigmoid().reshape(model.config.vision_config.image_size, -1)
                )
            large = cv2.resize(likely.float().cpu().numpy(), clip.shape[2:0:-1], interpolation=cv2.INTER_LINEAR)
            found.append(large > CLIPSEG_LEVEL)
        return np.stack(found)

    return Learnt(_painting(find), model.num_parameters())


def grounded_sam2(context: Context) -> Answer:
    """Return Grounding DINO, which finds the expression's box in the first, middle or last frame, wherever it is surest, and
    SAM 2, which follows what is in it, both ways in time.

    Raises:
        NotAvailable: the weights of one cannot be loaded.
    """
    detector, processor = _load("GroundingDinoForObjectDetection", located("grounding_dino", context.weights))
    tracker = _load_tracker(located("sam2", context.weights))

    def find(clip: Video, words: str) -> Masks:
        boxes = {at: _best_box(detector, processor, clip[at], words) for at in {0, len(clip) // 2, len(clip) - 1}}
        known = {at: box for at, box in boxes.items() if box is not None}
        if not known:
            return np.zeros(clip.shape[:3], bool)
        # the surest one, the earliest of equals
        at = max(sorted(known), key=lambda frame: known[frame][0])
        return _followed(tracker, clip, at, known[at][1])

    return Learnt(_painting(find), detector.num_parameters() + tracker.num_parameters())


def _painting(find: Any) -> Answer:
    def answer(sample: Sample) -> Video:
        words = str(sample.meta.parameters.get("expression") or sample.instruction)
        return painted(sample.source, find(sample.source, words), paint_of(sample))

    return answer


def _best_box(detector: Any, processor: Any, frame: Any, words: str) -> tuple[float, list[float]] | None:
    """Return the surest box of a phrase in a frame with its probability: left, top, right, bottom in pixels."""
    import torch

    # it was taught phrases in lower case that end with a dot
    inputs = processor(images=frame, text=f"{words.lower().rstrip('.')}.", return_tensors="pt").to(detector.device)
    with torch.inference_mode():
        seen = detector(**inputs)
    found = processor.post_process_grounded_object_detection(
        seen, inputs.input_ids, threshold=BOX_LEVEL, text_threshold=TEXT_LEVEL, target_sizes=[frame.shape[:2]]
    )[0]
    if not len(found["scores"]):
        return None
    best = int(found["scores"].argmax())
    return float(found["scores"][best]), [float(side) for side in found["boxes"][best]]


def _followed(tracker: Any, clip: Video, at: int, box: list[float]) -> Masks:
    """Return where SAM 2 sees what is in a box of frame `at`, in all frames: bool [t h w]."""
    import torch
    from transformers import Sam2VideoInferenceSession

    side = tracker.config.vision_config.backbone_config.image_size[0]
    height, width = clip.shape[1:3]
    small = np.stack([cv2.resize(frame, (side, side), interpolation=cv2.INTER_LINEAR) for frame in clip])
    pixels = (small.astype(np.float32) / 255 - _MEAN) / _DEVIATION
    session = Sam2VideoInferenceSession(
        video=torch.from_numpy(pixels.astype(np.float32)).permute(0, 3, 1, 2),
        video_height=height,
        video_width=width,
        inference_device=tracker.device,
        inference_state_device=tracker.device,
        video_storage_device=tracker.device,
        dtype=tracker.dtype,
    )
    corners = np.reshape(box, (2, 2)) * (side / width, side / height)
    points = {
        "point_coords": torch.from_numpy(corners.astype(np.float32))[None, None],
        # what its prompt encoder calls the two corners of a box
        "point_labels": torch.tensor([[[2, 3]]], dtype=torch.int32),
    }
    session.add_point_inputs(session.obj_id_to_idx(1), at, points)
    session.obj_with_new_inputs = [1]
    found = np.zeros(clip.shape[:3], bool)
    with torch.inference_mode():
        tracker(inference_session=session, frame_idx=at)
        for backwards in (False, True):
            for seen in tracker.propagate_in_video_iterator(session, start_frame_idx=at, reverse=backwards):
                likely = seen.pred_masks.float().cpu().numpy().reshape(seen.pred_masks.shape[-2:])
                found[seen.frame_idx] = cv2.resize(likely, (width, height), interpolation=cv2.INTER_LINEAR) > 0
    return found


@lru_cache(maxsize=2)
def _load(kind: str, place: str) -> tuple[Any, Any]:
    import transformers

    from configs.libraries import quiet_libraries
    from vidiff.devices import choose_device

    quiet_libraries()
    try:
        model = getattr(transformers, kind).from_pretrained(place, local_files_only=True)
        processor = transformers.AutoProcessor.from_pretrained(place, local_files_only=True)
    except Exception as error:  # a folder of another kind fails in ways of its own
        raise unusable(place, error) from error
    return model.to(choose_device()).eval(), processor


@lru_cache(maxsize=1)
def _load_tracker(place: str) -> Any:
    """Return SAM 2; its own processor wants torchvision, so that pictures are made ready here."""
    from transformers import Sam2VideoModel

    from configs.libraries import quiet_libraries
    from vidiff.devices import choose_device

    quiet_libraries()
    try:
        model: Any = Sam2VideoModel.from_pretrained(place, local_files_only=True)
    except Exception as error:  # a folder of another kind fails in ways of its own
        raise unusable(place, error) from error
    return model.to(choose_device()).eval()


GROUNDING = (
    Method(
        name="clipseg",
        tasks=("segment",),
        summary=f"frame by frame, pixels of probability {CLIPSEG_LEVEL} and more; told the expression",
        paper="Lueddecke & Ecker, CVPR 2022",
        version=1,
        make_seeing=clipseg,
        learns=True,
        networks=("clipseg",),
    ),
    Method(
        name="grounded_sam2",
        tasks=("segment",),
        summary="Grounding DINO's surest box in one of three frames, followed by SAM 2; told the expression",
        paper="Liu et al., ECCV 2024; Ravi et al., ICLR 2025",
        version=1,
        make_seeing=grounded_sam2,
        learns=True,
        networks=("grounding_dino", "sam2"),
    ),
)
