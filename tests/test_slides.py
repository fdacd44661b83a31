"""The lecture decks: what is on a slide, and that a lecturer can use them."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pypdf import PdfReader

from tests.browser import CONTRAST, barriers, open_page, serve, thin_out
from tests.chapter import SECTIONS, source
from tools.slides import MARKS, document, read_slides

ROOT = Path(__file__).parent.parent
MARK = re.compile(r"\]\{\.(slide|point|predict)( \.key)?\}")

pytestmark = [pytest.mark.slow, pytest.mark.published]


@pytest.fixture(scope="module")
def decks(site):
    return {name: read_slides(site, name) for name in SECTIONS}


@pytest.fixture(scope="module")
def offered(site, tmp_path_factory):
    """A copy of the site for which the decks have been made."""
    copy = tmp_path_factory.mktemp("slides") / "site"
    shutil.copytree(site, copy)
    done = subprocess.run(
        [sys.executable, "-m", "tools.slides", copy],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return copy


# --- What is on them ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SECTIONS)
def test_a_deck_fills_a_lecture_and_holds_what_is_marked(name, decks):
    slides, marks = decks[name], MARK.findall(source(name))
    assert 18 <= len(slides) <= 30  # 45 minutes
    assert sum(mark == "slide" for mark, _ in marks) == len(slides)
    assert len(marks) == sum(len(slide.lines) for slide in slides)
    assert 6 <= sum(bool(key) for _, key in marks) <= 10
    assert sum(mark == "predict" for mark, _ in marks) >= 4


@pytest.mark.parametrize("name", SECTIONS)
def test_each_part_of_a_page_has_a_slide(name, decks, site):
    html = (site / f"{name}.html").read_text("utf-8").partition('<div class="tip admonition"')[0]
    headings = re.findall(r'<h2><span class="section-number">([\d.]+) </span>', html)
    titles = " ".join(slide.title for slide in decks[name])
    assert len(headings) >= 5
    for number in headings:
        assert f"{number} " in f"{titles} " or f"{number}" in titles


@pytest.mark.parametrize("name", SECTIONS)
def test_a_slide_is_read_at_a_glance(name, decks):
    for slide in decks[name]:
        assert slide.lines
        assert sum(len(line.split()) for line in slide.lines) <= 45, slide.lines
        kinds = [part["class"][0] for part in slide.parts]
        assert kinds[0] == "slide"
        assert kinds.count("shown") <= 1
        assert kinds.count("formula") <= 1
        assert len(kinds) <= 6
        if "predict" in kinds:
            assert kinds[-1] != "predict", slide.lines  # there is an answer to wait for


@pytest.mark.parametrize("name", SECTIONS)
def test_figures_formulas_and_notes_come_from_the_page(name, decks):
    parts = [part for slide in decks[name] for part in slide.parts]
    assert sum(part["class"][0] == "shown" for part in parts) >= 5
    spoken = sum(len(note.split()) for slide in decks[name] for note in slide.notes)
    assert spoken > 800
    live = [it for part in parts for it in part.find_all(re.compile("^cnn-"))]
    # On the page of dense layers nothing is interactive.
    assert bool(live) == ("explore(" in source(name))


def test_a_line_without_a_slide_is_refused(site, tmp_path):
    page = tmp_path / "images.html"
    page.write_text("<article><section><h1>T</h1><p><span class='point'>So.</span></p></section>")
    with pytest.raises(ValueError, match=r"no slide has begun before 'So\.'"):
        read_slides(tmp_path, "images")
    with pytest.raises(FileNotFoundError, match="run `make book` first"):
        read_slides(tmp_path, "pooling")


def test_the_marks_are_those_of_the_pages():
    assert set(MARKS) == {"slide", "point", "predict"}
    for name in SECTIONS:
        text = source(name)
        assert len(re.findall(r"\]\{\.", text)) == len(MARK.findall(text))


# --- They can be used -----------------------------------------------------------------------------


@pytest.fixture
def page(chromium):
    with open_page(chromium, 1280, 720) as page:
        yield page
        assert page.problems == []


@pytest.fixture(scope="module")
def served(offered):
    with serve(offered) as address:
        yield f"{address}slides/"


@pytest.mark.browser
@pytest.mark.parametrize("name", SECTIONS)
def test_by_keyboard_from_the_first_slide_to_the_last(name, page, served, decks):
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{served}{name}.html")
    page.locator(".reveal.ready").wait_for()
    seen, steps = [], 0
    while steps < 150:
        title = page.locator("section.present > :is(h1, h2)").inner_text()
        number = page.evaluate("Reveal.getState().indexh")
        if number == len(seen):
            seen.append(title)
        if page.evaluate("Reveal.isLastSlide() && !Reveal.availableFragments().next"):
            break
        page.keyboard.press("ArrowRight")
        steps += 1
    assert [" ".join(title.split()) for title in seen] == [slide.title for slide in decks[name]]
    fits = page.evaluate(
        """() => Array.from(document.querySelectorAll(".slides > section"), (it, i) => {
            Reveal.slide(i);
            const figure = it.querySelector(".shown svg, .shown .explorer");
            const seen = !figure || figure.getBoundingClientRect().height > 80;
            return seen && it.scrollHeight <= it.clientHeight + 1;
        })"""
    )
    live = re.compile("^cnn-")  # what is interactive may scroll
    still = [not any(it.find(live) for it in slide.parts) for slide in decks[name]]
    assert [i for i, fit in enumerate(fits) if still[i] and not fit] == []
    assert [
        url for url in asked if not url.startswith((served.removesuffix("slides/"), "data:"))
    ] == []


@pytest.mark.browser
@pytest.mark.parametrize("name", SECTIONS)
def test_a_deck_keeps_nobody_out(name, page, served, decks):
    page.goto(f"{served}{name}.html")
    page.locator(".reveal.ready").wait_for()
    thin_out(page, ".slides > section")
    for number in range(0, len(decks[name]), 4):
        page.evaluate(f"Reveal.slide({number}, 0, 9)")
        page.emulate_media(color_scheme="light")
        assert barriers(page) == []
        page.emulate_media(color_scheme="dark")  # colours alone differ
        assert barriers(page, runOnly=CONTRAST) == []


@pytest.mark.browser
def test_the_answer_waits_for_a_key(page, served, decks):
    name, number = next(
        (name, i)
        for name, slides in decks.items()
        for i, slide in enumerate(slides)
        if any(part["class"][0] == "predict" for part in slide.parts)
    )
    page.goto(f"{served}{name}.html#/{number}")
    page.locator(".reveal.ready").wait_for()
    waits = page.locator("section.present .fragment").first
    assert not waits.is_visible()
    page.keyboard.press("ArrowRight")
    waits.wait_for()
    assert page.evaluate("Reveal.getState().indexh") == number


@pytest.mark.browser
def test_an_explorer_lives_in_a_slide(page, served, decks):
    number = next(
        i
        for i, slide in enumerate(decks["pooling"])
        if any(part.find("cnn-pooling") for part in slide.parts)
    )
    page.goto(f"{served}pooling.html#/{number}")
    page.evaluate(f"Reveal.slide({number}, 0, 9)")
    explorer = page.locator("section.present cnn-pooling")
    explorer.locator(".explorer").wait_for()
    before = page.url
    explorer.get_by_role("button").first.click()
    page.keyboard.press("ArrowRight")  # its own key, not the deck's
    assert page.evaluate("Reveal.getState().indexh") == number
    assert page.url == before


@pytest.mark.browser
def test_the_presenter_sees_the_notes(page, served, decks):
    page.goto(f"{served}images.html")
    page.locator(".reveal.ready").wait_for()
    with page.expect_popup() as opened:
        page.keyboard.press("s")
    view = opened.value
    view.wait_for_function(
        "text => document.body.innerText.includes(text)", arg=decks["images"][0].notes[0][:40]
    )


def test_handouts_and_links(offered, decks):
    index = (offered / "index.html").read_text("utf-8")
    for name in SECTIONS:
        reader = PdfReader(offered / "slides" / f"{name}.pdf")
        assert len(reader.pages) == len(decks[name])
        assert reader.trailer["/Root"]["/MarkInfo"]["/Marked"]
        assert not any(page.get("/Annots") for page in reader.pages)  # no way into a folder
        assert f'href="slides/{name}.html"' in index
        assert f'href="slides/{name}.pdf"' in index
        html = (offered / "slides" / f"{name}.html").read_text("utf-8")
        assert html == document(name, decks[name])
        for path in re.findall(r'(?:src|href)="((?:\.\./|reveal/)[^"?]+)', html):
            assert (offered / "slides" / path).resolve().is_file(), path
