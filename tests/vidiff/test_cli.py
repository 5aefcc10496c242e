import json
import shutil
import sys
from dataclasses import replace

import pytest

from shards import load_manifest, write_video
from vidiff import cli


def run(monkeypatch, capsys, entry, *arguments):
    monkeypatch.setattr(sys, "argv", [entry.__name__, *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        entry()
    out, err = capsys.readouterr()
    return stop.value.code, out, err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--config", "tinny"], "did you mean 'tiny'"),
        (["--set", "optimizer.lrr=1"], "did you mean 'lr'"),
        (["--set", "optimizer.lr=fast"], "optimizer.lr"),
        (["--steps", "1", "--minutes", "1"], "not both"),
        (["--resume", "--overwrite"], "not both"),
        ([], "give --data DATASET and --out FOLDER"),
        (["--data", "{folder}", "--out", "{folder}/run"], "is not a finished dataset"),
        (["--data", "{folder}/none", "--out", "{folder}/run"], "is not a dataset folder"),
    ],
)
def test_wrong_use_of_train_is_one_line_and_exit_2(monkeypatch, capsys, tmp_path, arguments, says):
    arguments = [text.format(folder=tmp_path) for text in arguments]
    code, _, err = run(monkeypatch, capsys, cli.train, *(arguments or ["--config", "tiny"]))
    assert code == 2
    assert err.startswith("error: ")
    assert says in err
    assert err.count("\n") == 1


def test_a_run_of_another_recipe_is_one_line_and_exit_2(monkeypatch, capsys, tmp_path, toy_dataset):
    common = ["--data", toy_dataset, "--out", tmp_path / "run", "--config", "tiny-fast", "--steps", "1"]
    code, out, _ = run(monkeypatch, capsys, cli.train, *common)
    assert code == 0
    assert "trained 1 steps" in out
    code, _, err = run(monkeypatch, capsys, cli.train, *common, "--set", "seed=3")
    assert code == 2
    assert "seed was 0, is 3" in err.replace("\n", " ")


def test_resume_goes_on_with_the_run_s_own_settings(monkeypatch, capsys, tmp_path, toy_dataset):
    common = ["--data", toy_dataset, "--out", tmp_path / "run"]
    own = ["--config", "tiny-fast", "--set", "optimizer.lr=5e-4", "--set", "drop.text=0.1", "--steps", "1"]
    assert run(monkeypatch, capsys, cli.train, *common, *own)[0] == 0
    before = (tmp_path / "run" / "log.jsonl").read_bytes()
    code, out, err = run(monkeypatch, capsys, cli.train, *common, "--resume")
    assert (code, out.split(" in ")[0]) == (0, "trained 1 steps")
    assert err == "nothing left to do: the run stands at its limit, --steps 1; with a larger one it goes on\n"
    assert (tmp_path / "run" / "log.jsonl").read_bytes() == before
    code, out, err = run(monkeypatch, capsys, cli.train, *common, "--resume", "--steps", "2")
    assert (code, out.split(" in ")[0]) == (0, "trained 2 steps")
    assert "nothing left" not in err
    for contradicting in (["--set", "optimizer.lr=1e-3"], ["--config", "tiny-fast"]):
        code, _, err = run(monkeypatch, capsys, cli.train, *common, "--resume", *contradicting)
        assert (code, err.count("\n")) == (2, 1)
        assert "optimizer.lr was 0.0005, is 0.001" in err
        assert "--resume with no --config, --set or --task goes on with it" in err
    _, out, _ = run(monkeypatch, capsys, cli.train, "--out", tmp_path / "run", "--resume", "--print-config")
    assert "lr: 0.0005" in out


def test_resume_goes_on_with_the_run_s_own_dataset_or_says_why_not(monkeypatch, capsys, tmp_path, toy_dataset):
    data, note = shutil.copytree(toy_dataset, tmp_path / "data"), tmp_path / "run" / "run.json"
    monkeypatch.chdir(tmp_path)
    begin = ["--data", "data", "--out", "run", "--config", "tiny-fast", "--steps", "1"]
    assert run(monkeypatch, capsys, cli.train, *begin)[0] == 0
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    resume = ["--out", note.parent, "--resume", "--steps"]
    code, out, _ = run(monkeypatch, capsys, cli.train, *resume, "2")
    assert (code, out.split(" in ")[0]) == (0, "trained 2 steps")

    def refusal():
        code, _, err = run(monkeypatch, capsys, cli.train, *resume, "3")
        assert (code, err.count("\n")) == (2, 1)
        assert "give --data with the dataset that the run began with" in err
        return err

    manifest = load_manifest(data)
    replace(manifest, shards=manifest.shards[1:]).save(data)
    assert f"its dataset, {data}, has other content now" in refusal()
    shutil.rmtree(data)
    assert f"{data} is not a dataset folder" in refusal()
    assert run(monkeypatch, capsys, cli.train, "--data", toy_dataset, *resume, "3")[0] == 0
    assert run(monkeypatch, capsys, cli.train, *resume, "4")[0] == 0
    # as earlier versions left it
    note.write_text(json.dumps({name: value for name, value in json.loads(note.read_text()).items() if name != "data"}))
    assert "it does not say where its dataset lies" in refusal()


def test_a_finished_run_without_its_model_makes_it_again(monkeypatch, capsys, tmp_path, toy_dataset):
    common = ["--data", toy_dataset, "--out", tmp_path / "run"]
    run(monkeypatch, capsys, cli.train, *common, "--config", "tiny-fast", "--steps", "1")
    (tmp_path / "run" / "model").rename(tmp_path / "moved")
    assert run(monkeypatch, capsys, cli.train, *common, "--resume")[0] == 0
    weights = "unet/diffusion_pytorch_model.safetensors"
    assert (tmp_path / "run/model" / weights).read_bytes() == (tmp_path / "moved" / weights).read_bytes()


def test_printed_settings_load_again(monkeypatch, capsys, tmp_path):
    code, out, _ = run(monkeypatch, capsys, cli.train, "--print-config", "--minutes", "3")
    assert code == 0
    (tmp_path / "mine.yaml").write_text(out)
    code, again, _ = run(monkeypatch, capsys, cli.train, "--print-config", "--config", tmp_path / "mine.yaml")
    assert (code, again) == (0, out)
    assert "minutes: 3.0" in out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["{folder}/in.mp4", "{folder}/out.mp4", "Remove the haze."], "has no model_index.json"),
        (["{folder}/text.mp4", "{folder}/out.mp4", "Remove the haze."], "text.mp4"),
        (["{folder}/none.mp4", "{folder}/out.mp4", "Remove the haze."], "none.mp4"),
        (["{folder}/in.mp4", "{folder}/out.mp4", "  "], "the instruction is empty"),
        (["{folder}/in.mp4", "{folder}/out.mp4"], "missing argument 'instruction'"),
    ],
)
def test_wrong_use_of_translate_is_one_line_and_exit_2(monkeypatch, capsys, tmp_path, clip, arguments, says):
    write_video(tmp_path / "in.mp4", clip, fps=10)
    (tmp_path / "text.mp4").write_text("not a video")
    arguments = [text.format(folder=tmp_path) for text in arguments]
    code, _, err = run(monkeypatch, capsys, cli.translate, "--model", tmp_path, *arguments)
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert code == 2
    assert len(errors) == 1
    assert says in errors[0]
    assert "Traceback" not in err


def test_translate_writes_the_video(monkeypatch, capsys, tmp_path, pipe, clip):
    pipe.save_pretrained(tmp_path / "run" / "model")
    write_video(tmp_path / "in.mp4", clip, fps=10)
    line = ["--model", tmp_path / "run", tmp_path / "in.mp4", tmp_path / "out.mp4", "Remove the haze."]
    code, out, _ = run(monkeypatch, capsys, cli.translate, *line, "--steps", "1", "--text-guidance", "2", "--seed", "3")
    assert code == 0
    assert "wrote" in out
    assert (tmp_path / "out.mp4").stat().st_size > 0
    (tmp_path / "out.mp4").write_text("mine")
    code, _, err = run(monkeypatch, capsys, cli.translate, *line, "--steps", "1")
    assert (code, (tmp_path / "out.mp4").read_text()) == (2, "mine")
    assert "out.mp4 is there already; give --overwrite to replace it" in err
    assert run(monkeypatch, capsys, cli.translate, *line, "--steps", "1", "--overwrite")[0] == 0
    assert (tmp_path / "out.mp4").read_bytes() != b"mine"


def test_one_instruction_for_a_dataset_is_said_to_stand_for_all(monkeypatch, capsys, tmp_path, pipe, toy_dataset):
    pipe.save_pretrained(tmp_path / "run" / "model")
    line = ["--model", tmp_path / "run", toy_dataset, "--task", "dehaze", "--split", "val", "--steps", "1"]
    code, out, err = run(monkeypatch, capsys, cli.translate, *line, tmp_path / "own")
    assert (code, "as it says itself" in err) == (0, False)
    # arguments may stand among options
    code, out, err = run(monkeypatch, capsys, cli.translate, *line, tmp_path / "one", "Remove the haze.")
    assert (code, out) == (0, f"2 translated into {tmp_path / 'one'}\n")
    assert "every sample is translated by 'Remove the haze.', and none as it says itself" in err
