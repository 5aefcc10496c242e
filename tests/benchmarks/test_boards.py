"""What a table says beside its numbers, on runs whose rows are made up."""

from benchmarks.report import make_boards
from benchmarks.runner import Run
from benchmarks.settings import BenchSettings

SETTINGS = BenchSettings(bootstrap=100, permutations=1000)


def row(method: str, video: int, psnr: float, **more) -> dict:
    return {
        "task": "deblur",
        "board": "deblur",
        "method": method,
        "ranked": True,
        "learns": False,
        "parameters": 0,
        "key": f"{video}",
        "video": f"v{video:02}",
        "status": "ok",
        "scores": {"psnr": psnr},
        "weights": {},
        "frames": 8,
        "seconds_per_frame": 0.1,
        **more,
    }


def board(rows: list[dict], **facts):
    (found,) = make_boards(Run(rows=rows, facts=facts, costs={}, leaks=[], together={}), SETTINGS)
    return found


def contest(videos: int, methods: int) -> list[dict]:
    # no two pairs of methods differ by the same on all videos
    return [row(f"m{n}", v, 20 + n + (7 * v * (n + 1) % 5) / 10) for n in range(methods) for v in range(videos)]


def test_a_table_says_when_its_videos_are_too_few_for_its_methods():
    assert "8 clips of 8 videos" in board(contest(8, 5)).size
    assert board(contest(8, 5)).size.endswith("; 8 videos cannot tell 5 methods apart")
    assert "; shows differences from " in board(contest(8, 3)).size
    assert board(contest(5, 3)).size.endswith("; below 6 videos nothing can be told apart")
    assert board(contest(8, 1)).size.endswith("ranked by PSNR")
