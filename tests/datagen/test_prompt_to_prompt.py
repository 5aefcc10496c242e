import numpy as np
import pytest
import torch

from datagen.effects.prompt_to_prompt import Control, Shares, align, aligned_attention, controlled
from tests.datagen import tiny_engine

SEED, STEPS = 5, 3


def letters(text: str) -> list[str]:
    return [letter + "</w>" * (place == len(word) - 1) for word in text.split() for place, letter in enumerate(word)]


def softmax_maps(q, k):
    return torch.softmax(q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5, dim=-1)


def test_equal_prompts_keep_every_map():
    found = align(letters("a red cat"), letters("a red cat"), 16)
    assert torch.equal(found.mapper, torch.eye(16))
    assert not found.own.any()


def test_a_replaced_word_takes_the_maps_of_the_word_in_its_place():
    found = align(letters("a cat sat"), letters("a tiger sat"), 16)
    # 0 begin, 1 a, 2-4 cat, 5-7 sat, 8 end; 0 begin, 1 a, 2-6 tiger, 7-9 sat, 10 end
    expected = torch.zeros(16, 16)
    expected[0, 0] = expected[1, 1] = 1
    expected[2:5, 2:7] = 1 / 5
    for there, here in ((5, 7), (6, 8), (7, 9), (8, 10), (9, 11), (12, 14), (13, 15)):
        expected[there, here] = 1
    expected[10, 12] = expected[11, 13] = 1
    assert torch.equal(found.mapper, expected)
    assert not found.own.any()


def test_a_word_of_as_many_tokens_takes_them_one_by_one():
    found = align(letters("a cat"), letters("a dog"), 12)
    assert torch.equal(found.mapper, torch.eye(12))


def test_an_inserted_word_keeps_its_own_maps_and_moves_the_others():
    found = align(letters("a cat"), letters("a red cat"), 12)
    assert found.own.nonzero().flatten().tolist() == [2, 3, 4]
    pairs = {tuple(pair) for pair in found.mapper.nonzero().tolist()}
    assert pairs == {(0, 0), (1, 1), (2, 5), (3, 6), (4, 7), (5, 8), (6, 9), (7, 10), (8, 11)}


def test_a_word_taken_away_leaves_its_maps_and_surplus_padding_keeps_its_own():
    found = align(letters("a red cat"), letters("a cat"), 12)
    assert not found.mapper[2:5].any()
    assert found.own.nonzero().flatten().tolist() == [9, 10, 11]


def test_aligned_attention_is_the_papers_formula_on_explicit_maps():
    alignment = align(letters("a cat"), letters("a big tiger"), 16)
    torch.manual_seed(0)
    q0, q1 = torch.randn(2, 3, 2, 9, 4, dtype=torch.float64)
    k0, k1, v = torch.randn(3, 3, 2, 16, 4, dtype=torch.float64)
    maps = softmax_maps(q0, k0) @ alignment.mapper.double() + softmax_maps(q1, k1) * alignment.own.double()
    assert torch.allclose(aligned_attention(q0, k0, q1, k1, v, alignment), maps @ v, atol=1e-12)


@pytest.mark.parametrize(("share", "active"), [(0, []), (0.5, [0, 1]), (0.3, [0]), (1, [0, 1, 2, 3])])
def test_maps_are_handed_over_in_the_first_share_of_the_steps(share, active):
    control = Control(align([], [], 4), Shares(cross=share, self_=0, temporal=1 - share), lambda: 4)
    seen = []
    for step in range(4):
        control.begin_step(None, (torch.zeros(2, 1),), {})
        seen += [step] if control.active("cross") else []
        assert not control.active("self")
    assert seen == active


@pytest.fixture(scope="module")
def pipes():
    found = {}
    for kind in tiny_engine.KINDS:
        found[kind] = tiny_engine.pipeline(kind)
        found[kind].set_progress_bar_config(disable=True)
    return found


def run(pipe, prompts, *, guidance=4.0) -> np.ndarray:
    """The plain call of a pipeline, every prompt from the same noise: float [prompt t h w 3]."""
    video = {} if hasattr(pipe, "safety_checker") else {"num_frames": 3}
    noise = [torch.Generator().manual_seed(SEED) for _ in prompts]
    options = {"num_inference_steps": STEPS, "guidance_scale": guidance, "height": 16, "width": 24}
    out = pipe(prompts, generator=noise, output_type="np", **options, **video)
    return np.asarray(out.frames if video else out.images[:, None])


def run_controlled(pipe, prompts, share, **options) -> np.ndarray:
    alignment = align(*map(letters, prompts), tiny_engine.LENGTH)
    shares = Shares(cross=share, self_=share, temporal=share)
    with controlled(pipe.unet, Control(alignment, shares, lambda: len(pipe.scheduler.timesteps))):
        return run(pipe, prompts, **options)


@pytest.mark.parametrize("kind", tiny_engine.KINDS)
@pytest.mark.parametrize("guidance", [1.0, 4.0])
def test_without_injection_the_pair_is_two_runs_of_the_plain_pipeline(pipes, kind, guidance):
    both = run_controlled(pipes[kind], ["a cat", "a red dog"], 0, guidance=guidance)
    alone = [run(pipes[kind], [prompt], guidance=guidance)[0] for prompt in ("a cat", "a red dog")]
    assert np.abs(both - np.stack(alone)).max() <= 1e-5
    assert np.abs(alone[0] - alone[1]).max() > 1e-3, "the text matters"


@pytest.mark.parametrize("kind", tiny_engine.KINDS)
def test_with_injection_the_first_clip_is_that_of_the_plain_pipeline(pipes, kind):
    both = run_controlled(pipes[kind], ["a cat", "a red dog"], 1)
    assert np.abs(both[0] - run(pipes[kind], ["a cat"])[0]).max() <= 1e-5
    free = run(pipes[kind], ["a cat", "a red dog"])
    assert np.abs(both[1] - free[1]).max() > 1e-4, "the second is led"


@pytest.mark.parametrize("kind", tiny_engine.KINDS)
def test_equal_prompts_give_equal_clips_and_those_of_the_plain_pipeline(pipes, kind):
    both = run_controlled(pipes[kind], ["a red cat", "a red cat"], 1)
    assert np.array_equal(both[0], both[1])
    assert np.abs(both[0] - run(pipes[kind], ["a red cat"])[0]).max() <= 1e-5


def watch_attention(unet) -> tuple[dict[str, dict[str, torch.Tensor]], list]:
    """Note q, k and v of the last call of every attention, and what of them goes into its last layer."""
    seen: dict[str, dict[str, torch.Tensor]] = {}
    hooks = []
    for name, module in unet.named_modules():
        if not hasattr(module, "to_q"):
            continue
        noted = seen.setdefault(name, {"heads": module.heads})
        for part in ("to_q", "to_k", "to_v"):
            layer = getattr(module, part)
            hooks.append(layer.register_forward_hook(lambda m, i, out, n=noted, p=part: n.__setitem__(p, out)))
        hooks.append(module.to_out[0].register_forward_pre_hook(lambda m, i, n=noted: n.__setitem__("out", i[0])))
    return seen, hooks


@pytest.mark.parametrize("kind", tiny_engine.KINDS)
@pytest.mark.parametrize("after", ["a dog", "a big tiger"])
def test_the_second_pass_attends_with_the_maps_of_the_first_in_every_layer(pipes, kind, after):
    pipe = pipes[kind]
    seen, hooks = watch_attention(pipe.unet)
    try:
        run_controlled(pipe, ["a cat", after], 1)
    finally:
        for hook in hooks:
            hook.remove()
    alignment = align(letters("a cat"), letters(after), tiny_engine.LENGTH)
    assert any("attn2" in name for name in seen)
    for name, noted in seen.items():
        split = {
            part: noted[part].unflatten(-1, (noted["heads"], -1)).transpose(1, 2).unflatten(0, (2, 2, -1))
            for part in ("to_q", "to_k", "to_v", "out")
        }
        maps = softmax_maps(split["to_q"], split["to_k"])
        cross = maps.shape[-1] == tiny_engine.LENGTH and "attn2" in name
        if cross:
            # without text both passes read the same, and each has its own maps
            led = maps[1, 0] @ alignment.mapper + maps[1, 1] * alignment.own
            expected = torch.stack([maps[0, 1], led]) @ split["to_v"][:, 1]
        else:
            expected = maps[:, 0] @ split["to_v"][:, 1]
        assert torch.allclose(split["out"][:, 1], expected, atol=1e-5), name
        assert torch.allclose(split["out"][:, 0], maps[:, 0] @ split["to_v"][:, 0], atol=1e-5), name


def test_the_pipeline_is_as_before_afterwards_whatever_happened(pipes):
    unet = pipes["AnimateDiffPipeline"].unet
    before = unet.attn_processors
    with (
        pytest.raises(ZeroDivisionError),
        controlled(unet, Control(align([], [], 4), Shares(cross=1, self_=1, temporal=1), lambda: 1)),
    ):
        raise ZeroDivisionError
    assert unet.attn_processors == before
    assert not unet._forward_pre_hooks
