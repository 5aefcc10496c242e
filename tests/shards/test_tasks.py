import re
import string

import pytest

from configs import ConfigError
from shards import Task, get_task, register_task, task_names

SIX = ["deblur", "dehaze", "edit", "inpaint", "recolor", "segment"]
ATTRIBUTES = {"edit": {"edit"}, "segment": {"object", "color"}}
MEMBERS = {"edit": ("mask",), "inpaint": ("mask",), "segment": ("mask",)}


def every_template(task: Task) -> tuple[str, ...]:
    return (*task.shared_templates, *task.train_templates, *task.heldout_templates)


def toy(**changes) -> Task:
    values = {
        "name": "toy",
        "summary": "A toy.",
        "shared_templates": tuple(f"Do it, way {n}." for n in range(10)),
        "train_templates": tuple(f"Do it by training, way {n}." for n in range(8)),
        "heldout_templates": ("Do it unseen.", "Do it unheard of."),
    }
    return Task(**{**values, **changes})


@pytest.fixture
def no_tasks_of_ones_own(monkeypatch):
    monkeypatch.setattr("shards.tasks._REGISTERED", {})


def test_the_six_tasks_of_the_contract_are_declared(no_tasks_of_ones_own):
    assert task_names() == SIX


@pytest.mark.parametrize("name", SIX)
def test_every_task_says_what_it_is_and_which_members_its_samples_have(name):
    task = get_task(name)
    assert task.name == name
    assert task.summary.endswith(".")
    assert task.members == MEMBERS.get(name, ())
    assert task.keeps_outside_mask == (name in MEMBERS)


@pytest.mark.parametrize("name", SIX)
def test_every_task_has_twenty_templates_or_more_in_groups_that_share_none(name):
    task = get_task(name)
    templates = every_template(task)
    assert len(templates) >= 20
    plain = [re.sub(r"[^a-z{}]+", " ", text.lower()).strip() for text in templates]
    assert len(set(plain)) == len(plain), "two templates differ in case or punctuation alone"
    assert not set(task.templates("train")) & set(task.heldout_templates)
    assert not set(task.templates("test")) & set(task.train_templates)
    assert task.templates("val") == task.templates("test")
    assert set(task.templates("train")) & set(task.templates("test")) == set(task.shared_templates)


@pytest.mark.parametrize("name", SIX)
def test_templates_open_in_many_ways_and_read_as_sentences(name):
    templates = every_template(get_task(name))
    assert len({text.split()[0] for text in templates}) >= 0.6 * len(templates)
    for text in templates:
        assert text[0].isupper() or text.startswith("{edit}")
        assert text[-1] in ".?"
        assert "  " not in text
        assert len(text) < 90


@pytest.mark.parametrize("name", SIX)
def test_every_template_leaves_open_what_its_task_fills_in_and_nothing_else(name):
    task = get_task(name)
    expected = ATTRIBUTES.get(name, set())
    assert task.attributes() == expected
    for text in every_template(task):
        found = [part for _, part, _, _ in string.Formatter().parse(text) if part is not None]
        assert sorted(found) == sorted(expected), text
        assert "{" not in text.format(**dict.fromkeys(expected, "x"))


def test_an_unknown_task_is_named_with_what_was_meant():
    with pytest.raises(ConfigError, match=r"no task named 'deblurr'; did you mean 'deblur'\? available: .*segment"):
        get_task("deblurr")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shared_templates": ("One.",)}, "task toy has 11 instruction templates .2 held out.; it needs at least 20"),
        ({"heldout_templates": ()}, "0 held out.; it needs at least 20, some for train alone and some held out"),
        ({"train_templates": (), "shared_templates": tuple(map(str, range(30)))}, "some for train alone"),
        ({"heldout_templates": ("Do it, way 3.", "Else.")}, "template 'Do it, way 3.' is listed twice"),
        ({"members": ("msak",)}, "no member named 'msak'; did you mean 'mask'"),
    ],
)
def test_a_declaration_that_breaks_a_rule_says_which(changes, message):
    with pytest.raises(ConfigError, match=message) as error:
        toy(**changes)
    assert "\n" not in str(error.value)


def test_a_task_of_ones_own_joins_the_others_once(no_tasks_of_ones_own):
    task = register_task(toy())
    assert get_task("toy") is task
    assert task_names() == sorted([*SIX, "toy"])
    with pytest.raises(ConfigError, match="'toy' exists already"):
        register_task(toy())
    with pytest.raises(ConfigError, match="'dehaze' exists already"):
        register_task(toy(name="dehaze"))
