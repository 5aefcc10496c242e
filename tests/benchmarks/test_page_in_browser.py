"""The page in a real browser: what sorts, plays, wipes and fits."""

import os
import shutil
import threading

import pytest

from benchmarks.commands import publish_report
from benchmarks.runner import run
from benchmarks.settings import BenchSettings
from benchmarks.studies.preference import Poll, make_pairs, read_votes, serve_poll
from benchmarks.suite import make_suite

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")
SETTINGS = BenchSettings(bootstrap=100, examples=2, cost_samples=1)


@pytest.fixture(scope="module")
def folder(toy_dataset, tmp_path_factory):
    out = tmp_path_factory.mktemp("page")
    suite = make_suite(toy_dataset, [], SETTINGS)
    publish_report(out, run(suite, SETTINGS, out), SETTINGS, suite.dataset)
    return out


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        # Debian's chromium refuses to sandbox when it runs as root
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def page(folder, browser):
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.asked, page.errors = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.goto((folder / "index.html").as_uri())
    return page


def test_nothing_is_fetched_and_nothing_fails(page):
    page.wait_for_timeout(500)
    outside = [url for url in page.asked if not url.startswith(("file:", "data:", "blob:"))]
    assert outside == []
    assert page.errors == []


def test_a_click_on_a_head_sorts_and_another_turns_the_order(page):
    table = page.locator("table").first
    column = table.locator("tbody td:nth-child(3)")

    def values() -> list[float]:
        return [float(text.split()[0]) for text in column.all_inner_texts()]

    table.locator("th").nth(2).click()
    upwards = values()
    assert upwards == sorted(upwards)
    assert len(set(upwards)) > 1
    table.locator("th").nth(2).click()
    assert values() == sorted(upwards, reverse=True)


def test_who_has_no_number_is_sorted_last_either_way(page):
    table = page.locator("table").first
    cell = table.locator("tbody tr").first.locator("td").nth(3)
    cell.evaluate("cell => { cell.dataset.value = ''; cell.textContent = 'n/a'; }")
    for _ in range(2):
        table.locator("th").nth(3).click()
        assert table.locator("tbody tr").last.locator("td").nth(3).inner_text() == "n/a"


def test_the_clips_of_a_row_play_in_step(page):
    row = page.locator("[data-group]").first
    row.scroll_into_view_if_needed()
    page.wait_for_function(
        "row => [...row.querySelectorAll('video')].every(v => v.readyState >= 2)",
        arg=row.element_handle(),
        timeout=15_000,
    )
    ahead = 0.0
    for _ in range(20):
        page.wait_for_timeout(100)
        times = row.evaluate("row => [...row.querySelectorAll('video')].map(v => [v.currentTime, v.duration])")
        ahead = max(ahead, times[0][0])
        # a loop that starts again may be a moment ahead of the others
        gaps = [min(abs(t - times[0][0]), d - abs(t - times[0][0])) for t, d in times]
        assert max(gaps) < 0.12
    assert ahead > 0


def test_the_slider_moves_the_cut_between_source_and_answer(page):
    slider = page.locator(".wipe input").first
    slider.evaluate("slider => { slider.value = 20; slider.dispatchEvent(new Event('input')); }")
    cut = page.locator(".wipe video + video").first.evaluate("video => getComputedStyle(video).clipPath")
    assert "20%" in cut


@pytest.mark.parametrize("width", [360, 1280])
def test_the_page_is_no_wider_than_the_window(page, width):
    page.set_viewport_size({"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_on_a_telephone_a_wide_table_has_a_shadow_where_it_goes_on_and_keeps_its_methods_in_sight(page):
    page.set_viewport_size({"width": 375, "height": 800})
    box = page.locator(".scroll").first
    cell, score = (box.locator(f"tbody tr:first-child td:nth-child({place})") for place in (2, 3))
    assert box.evaluate("box => box.scrollWidth - box.clientWidth") > 100
    assert box.evaluate("box => getComputedStyle(box).backgroundAttachment").startswith("local, local, scroll, scroll")
    before = score.bounding_box()["x"]
    box.evaluate("box => { box.scrollLeft = 100; }")
    assert score.bounding_box()["x"] == pytest.approx(before - 100, abs=2)
    assert cell.bounding_box()["x"] == pytest.approx(box.bounding_box()["x"], abs=2)
    assert "rgba(0, 0, 0, 0)" not in cell.evaluate("cell => getComputedStyle(cell).backgroundColor"), (
        "numbers pass below it"
    )


def test_on_a_telephone_clips_stand_two_in_a_line(page):
    page.set_viewport_size({"width": 375, "height": 800})
    for clip in page.locator("figure").all():
        assert clip.bounding_box()["width"] > 140


@pytest.mark.parametrize("width", [1000, 1300, 1600])
def test_clips_stand_in_lines_of_which_none_has_a_single_one_and_captions_do_not_leave_their_tile(page, width):
    page.set_viewport_size({"width": width, "height": 800})
    caption = page.locator(".clips figcaption").nth(1)
    before = caption.inner_text()
    caption.evaluate("caption => { caption.textContent = 'm'.repeat(40); }")
    assert caption.evaluate("caption => caption.scrollWidth <= caption.clientWidth")
    caption.evaluate("(caption, before) => { caption.textContent = before; }", before)
    for row in page.locator(".clips").all():
        tops = [clip.bounding_box()["y"] for clip in row.locator("figure").all()]
        assert min(tops.count(top) for top in tops) > 1


# the poll


@pytest.fixture
def poll(folder):
    pairs = make_pairs(folder, ["dehaze"], ["clahe", "identity", "dark_channel"], 6, seed=0)
    ready, place = threading.Event(), []
    thread = threading.Thread(
        target=serve_poll,
        args=(Poll(folder, pairs), 0, lambda address: (place.append(address), ready.set())),
        daemon=True,
    )
    thread.start()
    assert ready.wait(10)
    yield place[0]
    shutil.rmtree(folder / "preference", ignore_errors=True)


def number(page) -> str:
    page.wait_for_function("document.querySelector('#count').textContent !== ''", timeout=15_000)
    return page.locator("#count").inner_text()


def test_a_vote_is_counted_once_however_often_it_is_clicked_reloaded_and_in_how_many_tabs(folder, poll, browser):
    context = browser.new_context()
    one, two = context.new_page(), context.new_page()
    for page in (one, two):
        page.goto(poll)
        assert number(page) == "pair 1 of 6"
        page.wait_for_timeout(600)
    one.locator("[data-choice=left]").dblclick()
    one.wait_for_function("document.querySelector('#count').textContent === 'pair 2 of 6'", timeout=15_000)
    # the other tab still shows the pair; a vote there is on the same pair
    two.locator("[data-choice=left]").click()
    two.wait_for_function("document.querySelector('#count').textContent === 'pair 2 of 6'", timeout=15_000)
    assert len(read_votes(folder)) == 1
    one.wait_for_timeout(600)
    one.locator("[data-choice=right]").click()
    one.reload()
    assert number(one) in ("pair 2 of 6", "pair 3 of 6")
    one.wait_for_timeout(300)
    assert len(read_votes(folder)) == 2
    # a key that is held is one vote
    one.reload()
    assert number(one) == "pair 3 of 6"
    one.wait_for_timeout(600)
    for _ in range(5):
        one.keyboard.down("ArrowLeft")
        one.wait_for_timeout(300)
    one.keyboard.up("ArrowLeft")
    assert len(read_votes(folder)) == 3
    context.close()


def test_a_vote_that_could_not_be_kept_is_said_and_may_be_given_again(folder, poll, browser):
    page = browser.new_page()
    page.goto(poll)
    number(page)
    page.wait_for_timeout(600)
    votes = folder / "preference" / "votes.jsonl"
    votes.mkdir(parents=True)
    page.locator("[data-choice=left]").click()
    page.wait_for_function("document.querySelector('#trouble').textContent.includes('not kept')", timeout=15_000)
    assert "votes.jsonl" in page.locator("#trouble").inner_text()
    votes.rmdir()
    page.locator("[data-choice=left]").click()
    page.wait_for_function("document.querySelector('#count').textContent === 'pair 2 of 6'", timeout=15_000)
    assert page.locator("#trouble").inner_text() == ""
    assert len(read_votes(folder)) == 1
    page.close()
