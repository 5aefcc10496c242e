from typing import ClassVar

import pytest
import yaml
from pydantic import Field

import configs
from configs import ConfigError, Settings, load, meant_path, names, no_weights


class Inner(Settings):
    size: int = 3


class Toy(Settings):
    kind: ClassVar[str] = "toy"
    inner: Inner = Inner()
    rate: float = 0.5


@pytest.fixture
def recipe(tmp_path):
    def write(text: str, name: str = "recipe.yaml") -> str:
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return write


def test_overrides_beat_the_file_which_beats_the_defaults(recipe):
    path = recipe("inner:\n  size: 7\n")
    assert load(Toy, path).inner.size == 7
    assert load(Toy, path).rate == 0.5
    assert load(Toy, path, ["inner.size=9", "rate=1"]) == Toy(inner=Inner(size=9), rate=1.0)


def test_a_recipe_says_only_what_differs_from_the_one_it_extends(recipe):
    base = recipe("rate: 0.25\ninner:\n  size: 4\n", "base.yaml")
    assert load(Toy, recipe(f"extends: {base}\nrate: 0.75\n")) == Toy(inner=Inner(size=4), rate=0.75)


def test_printed_settings_load_to_the_same_settings(recipe):
    settings = Toy(inner=Inner(size=11))
    assert load(Toy, recipe(settings.to_yaml())) == settings
    assert load(Toy, recipe(settings.to_yaml())).digest() == settings.digest() != Toy().digest()


def test_explained_settings_have_their_meaning_above_them_and_load_to_the_same(recipe):
    class Explained(Inner):
        """What is nested."""

        words: str = "one\n\n# two: 'three'"
        """How it is
        called."""

    class Outer(Settings):
        inner: Explained = Explained()
        plain: dict[str, list[int]] = Field(default_factory=lambda: {"a": [1], "b": []})

    text = Outer().to_yaml(explained=True)
    assert load(Outer, recipe(text)) == Outer()
    assert text.startswith("# What is nested.\ninner:\n  size: ")
    assert "  # How it is called.\n  words: " in text
    assert text.endswith("plain:\n  a:\n  - 1\n  b: []\n")


def test_settings_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        Toy().rate = 1.0


@pytest.mark.parametrize(
    ("text", "overrides", "words"),
    [
        ("ratte: 1", [], "no setting named 'ratte'; did you mean 'rate'"),
        ("inner:\n  sice: 1", [], "did you mean 'size'. available: size in inner"),
        ("inner: 3", [], "inner"),
        ("rate: fast", [], "^recipe .*: rate: .*came: 'fast'"),
        ("- a\n- b", [], "a recipe is a mapping"),
        ("a: [", [], "is no recipe: not YAML"),
        ("rate: 1\nrate: 2", [], "the key 'rate' is given twice"),
        ("a: &x [1]\nb: [*x, *x]", [], "aliases .* are not allowed"),
        ("[" * 5000, [], "is no recipe"),
        ("rate: 2026-13-45", [], "is no recipe"),
        ("", ["rate=2026-13-45"], "is not a YAML value"),
        ("", ["rate=" + "9" * 5000], "is not a YAML value"),
        ("", ["rate=" + "[" * 5000], "is not a YAML value"),
        ("", ["rate=.nan"], "rate: .*finite"),
        ("", ["rate=-.inf"], "rate: .*finite"),
        ("", ["rate"], "key=value"),
        ("", ["=3"], "key=value"),
        ("", ["rate=[1"], "is not a YAML value"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(recipe, text, overrides, words):
    with pytest.raises(ConfigError, match=words) as error:
        load(Toy, recipe(text), overrides)
    assert "\n" not in str(error.value)


def test_a_circle_of_recipes_is_an_error(recipe, tmp_path):
    recipe(f"extends: {tmp_path}/b.yaml", "a.yaml")
    with pytest.raises(ConfigError, match="circle"):
        load(Toy, recipe(f"extends: {tmp_path}/a.yaml", "b.yaml"))


def test_an_unknown_recipe_is_named_with_what_was_meant():
    from datagen import Recipe

    with pytest.raises(ConfigError, match="did you mean 'small'"):
        load(Recipe, "smal")
    with pytest.raises(ConfigError, match="no recipe file"):
        load(Recipe, "/nowhere/x.yaml")


def test_every_bundled_recipe_loads():
    from benchmarks.settings import BenchSettings
    from datagen import Recipe
    from vidiff.settings import TrainSettings

    for schema in (Recipe, TrainSettings, BenchSettings):
        assert names(schema)
        for name in names(schema):
            settings = load(schema, name)
            assert (
                load(schema, name, [f"{k}={yaml.safe_dump(v)}" for k, v in settings.model_dump(mode="json").items()])
                == settings
            )


def test_unknown_name_lists_no_more_than_can_be_read():
    text = configs.unknown_name("sample", "x", [f"name-{n}" for n in range(1000)])
    assert "(1000 in all)" in text
    assert len(text) < 600


def test_an_override_replaces_a_whole_mapping():
    from datagen import Recipe

    assert list(load(Recipe, "default", ["tasks={dehaze: {}}"]).tasks) == ["dehaze"]
    assert list(load(Recipe, "default", ["tasks.dehaze={}"]).tasks) == ["dehaze", "recolor"]


def test_a_path_that_is_nearly_there_is_named(tmp_path):
    (tmp_path / "videos").mkdir()
    assert meant_path(tmp_path / "vidoes") == f"; did you mean {str(tmp_path / 'videos')!r}?"
    assert meant_path(tmp_path / "something else") == ""
    assert meant_path(tmp_path / "nowhere" / "videos") == ""


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("/nowhere/model", "We couldn't connect to 'https://huggingface.co'", "there is no folder /nowhere/model"),
        ("a/b/c", "Repo id must be in the form 'namespace/repo_name'", "there is no folder a/b/c"),
        ("model", "We couldn't connect to the hub", "there is no folder model, and the hub cannot be reached"),
        (
            "a/b",
            "401: no repository.",
            "there is no folder a/b, and the hub gives none of that name: 401: no repository",
        ),
        ("here", "it has no config.json", "it has no config.json"),
    ],
)
def test_a_folder_of_weights_that_is_missing_is_not_called_trouble_of_the_network(
    name, error, words, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    assert no_weights(name, OSError(error)) == words
