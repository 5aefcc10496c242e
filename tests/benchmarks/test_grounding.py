"""A detector that reads and a tracker, small ones of the true architecture, made here."""

import pytest
import torch
from torch import nn

from benchmarks.methods import grounding
from tests.benchmarks.test_pretrained import answer, clip_of


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    from transformers import BertTokenizer, GroundingDinoConfig, GroundingDinoForObjectDetection, GroundingDinoProcessor
    from transformers.models.grounding_dino.image_processing_pil_grounding_dino import GroundingDinoImageProcessorPil

    folder = tmp_path_factory.mktemp("dino")
    torch.manual_seed(0)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "?", "the", "red", "cube"]
    backbone = {
        "model_type": "swin", "image_size": 64, "embed_dim": 8, "depths": [1, 1, 1, 1], "num_heads": [1, 1, 1, 1],
        "window_size": 2, "out_features": ["stage2", "stage3", "stage4"],
    }  # fmt: skip
    text = {
        "model_type": "bert", "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16,
    }  # fmt: skip
    config = GroundingDinoConfig(
        backbone_config=backbone, text_config=text, d_model=32, encoder_layers=1, decoder_layers=2, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, num_queries=20, num_feature_levels=4,
    )  # fmt: skip
    GroundingDinoForObjectDetection(config).save_pretrained(folder)
    pictures = GroundingDinoImageProcessorPil(size={"shortest_edge": 64, "longest_edge": 128})
    tokens = BertTokenizer(vocab={word: place for place, word in enumerate(words)})
    GroundingDinoProcessor(pictures, tokens).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def tracker(tmp_path_factory):
    from transformers import Sam2VideoConfig, Sam2VideoModel

    folder = tmp_path_factory.mktemp("sam2")
    torch.manual_seed(0)
    # 64 is the one number of memory channels that its attention takes
    wide, memory = 128, 64
    backbone = {
        "model_type": "sam2_hiera_det_model", "hidden_size": 16, "num_attention_heads": 1, "image_size": [64, 64],
        "blocks_per_stage": [1, 2, 3, 2], "embed_dim_per_stage": [16, 32, 64, 128],
        "num_attention_heads_per_stage": [1, 2, 4, 8], "window_size_per_stage": [4, 2, 2, 2], "global_attention_blocks": [4],
        "window_positional_embedding_background_size": [4, 4],
    }  # fmt: skip
    vision = {
        "backbone_config": backbone, "backbone_channel_list": [128, 64, 32, 16],
        "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]], "fpn_hidden_size": wide,
    }  # fmt: skip
    config = Sam2VideoConfig(
        vision_config=vision, prompt_encoder_config={"hidden_size": wide, "image_size": 64},
        mask_decoder_config={"hidden_size": wide, "mlp_dim": 32, "num_attention_heads": 2, "iou_head_hidden_dim": wide},
        image_size=64, memory_attention_hidden_size=wide, memory_attention_feed_forward_hidden_size=32,
        memory_attention_num_layers=1, memory_attention_rope_feat_sizes=[4, 4], memory_encoder_hidden_size=wide,
        memory_encoder_output_channels=memory, mask_downsampler_embed_dim=wide, memory_fuser_embed_dim=wide,
        memory_fuser_intermediate_dim=32, memory_fuser_num_layers=1,
    )  # fmt: skip
    model = Sam2VideoModel(config)
    for name, weight in model.mask_decoder.named_parameters():
        if weight.dim() > 1:
            nn.init.normal_(weight, std=0.3)
        # something is there in every frame
        if name == "pred_obj_score_head.proj_out.bias":
            nn.init.constant_(weight, 100.0)
    model.save_pretrained(folder)
    return str(folder)


def test_the_surest_box_is_followed_both_ways_in_time(detector, tracker, monkeypatch):
    sample = clip_of("segment", frames=4)
    seen = []
    follow = grounding._followed

    def noted(model, clip, at, box):
        seen.append((at, box))
        return follow(model, clip, at, box)

    monkeypatch.setattr(grounding, "BOX_LEVEL", 0.0)
    monkeypatch.setattr(grounding, "_followed", noted)
    found = answer("grounded_sam2", sample, grounding_dino=detector, sam2=tracker)
    ((at, box),) = seen
    model, processor = grounding._load("GroundingDinoForObjectDetection", detector)
    boxes = {place: grounding._best_box(model, processor, sample.source[place], "the red cube") for place in (0, 2, 3)}
    assert boxes[at] == (max(score for score, _ in boxes.values()), box)
    changed = (found != sample.source).any(axis=-1)
    assert changed.any(axis=(1, 2)).all()
    assert not changed.all()


def test_nothing_is_painted_where_no_box_is_sure_enough(detector, tracker, monkeypatch):
    monkeypatch.setattr(grounding, "BOX_LEVEL", 1.1)
    sample = clip_of("segment")
    assert (answer("grounded_sam2", sample, grounding_dino=detector, sam2=tracker) == sample.source).all()


def test_the_box_reaches_the_tracker_where_its_own_processor_would_put_it(tracker, monkeypatch):
    from transformers import Sam2VideoInferenceSession

    model = grounding._load_tracker(tracker)
    given = []
    real = Sam2VideoInferenceSession.add_point_inputs
    monkeypatch.setattr(
        Sam2VideoInferenceSession, "add_point_inputs", lambda self, *args: given.append(args) or real(self, *args)
    )
    clip = clip_of("segment", frames=2, height=20, width=40).source
    grounding._followed(model, clip, 1, [10, 5, 30, 15])
    ((_, at, points),) = given
    assert at == 1
    # pixels of 40 x 20 in the network's 64 x 64; labels 2 and 3 are the corners of a box
    assert points["point_coords"].tolist() == [[[[16, 16], [48, 48]]]]
    assert points["point_labels"].tolist() == [[[2, 3]]]
