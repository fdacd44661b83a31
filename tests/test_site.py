"""The site as a reader meets it: the real pages, in a real browser."""

import os
import re
from pathlib import Path

import pytest

from tests.browser import CONTRAST, barriers, listen, pale, thin_out, wake

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    path.relative_to(ROOT / "book").with_suffix("").as_posix()
    for pattern in ("*.md", "api/*.md", "teaching/*.md")
    for path in (ROOT / "book").glob(pattern)
)
WORDS_ONLY = {name for name in PAGES if "/" in name} | {
    "api",
    "back-ends",
    "bibliography",
    "command-line",
    "glossary",
}

DESK, PHONE = {"width": 1280, "height": 800}, {"width": 360, "height": 800}

pytestmark = [pytest.mark.slow, pytest.mark.browser]


@pytest.fixture
def page(chromium):
    """A browser page that records what it asks for and what goes wrong."""
    context = chromium.new_context(viewport=DESK, color_scheme="light")
    page = context.new_page()
    page.requests, page.problems = [], listen(page)
    page.on("request", lambda asked: page.requests.append(asked.url))
    page.on("response", lambda got: got.ok or page.problems.append(f"{got.status} {got.url}"))
    yield page
    context.close()


@pytest.mark.parametrize("name", PAGES)
def test_page(name, page, address):
    page.goto(f"{address}{name}.html")
    page.evaluate("document.querySelectorAll('details').forEach(it => it.open = true)")
    wake(page)
    # What is not laid out yet has no colours that axe could see.
    page.add_style_tag(content=".cell { content-visibility: visible !important }")
    for device, size in (("phone", PHONE), ("desk", DESK)):
        page.set_viewport_size(size)
        if folder := os.environ.get("CNN_TF_SCREENSHOTS"):  # to look at
            for scheme in ("dark", "light"):
                page.emulate_media(color_scheme=scheme)
                shot = Path(folder, f"{name.replace('/', '-')}-{device}-{scheme}.jpg")
                page.screenshot(path=shot, full_page=True, quality=80)
        # Nothing sticks out to the side, and what can be scrolled can be reached.
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert barriers(page, runOnly="scrollable-region-focusable") == []
        # Each drawing says what is to be seen on it.
        drawings = (
            page.locator("div.figure svg")
            .filter(visible=True)
            .evaluate_all(
                "all => all.map(it => [it.ariaLabel ?? '', it.getBoundingClientRect().width])"
            )
        )
        assert len(drawings) >= (0 if name in WORDS_ONLY else 1)
        for label, width in drawings:
            assert len(label) > 10
            assert width > 100
    thin_out(page)
    for size in (PHONE, DESK):
        page.set_viewport_size(size)
        assert barriers(page, rules={CONTRAST: {"enabled": False}}) == []
    assert pale(page) == []
    assert page.problems == []
    foreign = [url for url in page.requests if not url.startswith((address, "data:", "blob:"))]
    assert foreign == []


def test_the_header_of_a_phone_keeps_nobody_out(page, address):
    page.set_viewport_size(PHONE)
    page.goto(f"{address}index.html")  # it is the same on every page
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert barriers(page, {"exclude": [["article"]]}) == []


def test_what_is_pale_is_seen(page, address):
    page.goto(f"{address}images.html")
    wake(page)
    page.add_style_tag(
        content="@media (prefers-color-scheme: dark) { h1 { color: #444 !important } }"
    )
    assert [place for _, place in pale(page)] == [page.locator("h1").evaluate("it => it.outerHTML")]


def test_code_is_as_dark_as_its_page(page, address):
    page.goto(f"{address}channels.html")
    code = page.locator(".highlight").first
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        color = code.evaluate("it => getComputedStyle(it).backgroundColor")
        red, green, blue = map(int, re.findall(r"\d+", color)[:3])
        assert (max(red, green, blue) < 128) == (scheme == "dark"), color


def test_the_browser_loads_nothing_from_elsewhere(page, address):
    page.goto(f"{address}index.html")
    for attempt in (
        "fetch('https://example.org/')",
        "import('https://example.org/a.js')",
        "new Promise((done, fail) => { const image = new Image(); image.onload = done;"
        " image.onerror = () => fail(new Error('Content Security Policy'));"
        " image.src = 'https://example.org/a.png'; })",
    ):
        said = page.evaluate(f"{attempt}.then(() => 'loaded', error => String(error))")
        assert said != "loaded"
    blocked = [problem for problem in page.problems if "Content Security Policy" in problem]
    assert len(blocked) >= 3, page.problems


def test_figures_take_the_text_colour_of_the_page(page, address):
    page.goto(f"{address}lenet.html")
    label = page.locator("div.figure svg text", has_text="epoch").first
    text = page.locator("article p").first
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        colour = text.evaluate("it => getComputedStyle(it).color")
        assert label.evaluate("it => getComputedStyle(it).fill") == colour


def test_formulas_are_drawn_by_the_browser_in_our_font(page, address):
    page.goto(f"{address}lenet.html", wait_until="networkidle")
    formula = page.locator("div.equation math").first
    assert formula.bounding_box()["height"] > 30  # a fraction and a sum stand above one another
    assert "stix-two-math-subset.woff2" in " ".join(page.requests)


def test_a_long_signature_has_one_argument_a_line(page, address):
    page.goto(f"{address}api/functional.html")
    lines = page.locator("dt[id='cnn_tf.output_size']").inner_text().split("\n")
    arguments = ["n,", "kernel_size,", "padding=0,", "strides=1,", "dilation_rate=1,"]
    assert [line.strip() for line in lines][:6] == ["cnn_tf.output_size(", *arguments]


# --- The search -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def found(chromium, address):
    """What the search finds, by the words that a reader types: titles, and excerpts of pages."""
    context = chromium.new_context(viewport={"width": 1000, "height": 900})
    page = context.new_page()
    problems = listen(page)

    def found(words):
        page.goto(f"{address}search.html?q={words}")
        over = page.locator(".search-summary", has_text=re.compile("search", re.IGNORECASE))
        over.wait_for(timeout=10_000)
        page.wait_for_load_state("networkidle")
        titles = page.locator("ul.search li a").all_inner_texts()
        return titles, page.locator("ul.search li .context").all_inner_texts()

    found.page = page
    yield found
    assert problems == []
    context.close()


@pytest.mark.parametrize(
    ("word", "title"),
    [
        ("Toeplitz", "From dense layers to convolutions"),
        ("McNemar", "LeNet"),
        ("plateau", "LeNet"),
        ("dilation", "Padding and stride"),
        ("eigenvalues", "Convolutions for images"),
        ("photograph", "Convolutions for images"),  # in a caption, among others
    ],
)
def test_search_finds_words_of_the_prose(word, title, found):
    titles, excerpts = found(word)
    assert title in titles
    for excerpt in excerpts:
        assert word.lower()[:7] in excerpt.lower()
        assert "code cell" not in excerpt
        assert "download" not in excerpt


@pytest.mark.parametrize(
    "word", ["step_matrix", "keras_shapes", "linspace", "mathbf", "downloadWithout", "tspan"]
)
def test_search_finds_no_code(word, found):
    titles, _ = found(word)
    assert titles == []


@pytest.mark.parametrize("name", ["channels", "lenet"])
def test_excerpts_are_made_of_the_words_of_the_prose(name, found, address):
    found("picture")
    page = found.page
    text = page.evaluate(
        """async (file) => {
          const html = await (await fetch(file)).text();
          return Search.htmlToText(html.replace(/<math.*?<.math>/gs, ""));
        }""",
        f"{address}{name}.html",
    )
    for left_out in ("code cell", "import ", "Without solutions", "web server", "assert "):
        assert left_out not in text
    # No word is glued to the next: each is one that the page shows. Formulas are no words.
    page.goto(f"{address}{name}.html")
    page.evaluate("document.querySelectorAll('details').forEach(it => it.open = true)")
    page.add_style_tag(content=".cell { content-visibility: visible !important }")
    shown = set(page.locator("article").inner_text().split())
    words = [word for word in text.split() if re.fullmatch(r"[A-Za-z]{5,}", word)]
    assert len(words) > 1000
    assert [word for word in words if word not in shown] == []


# --- What is in the way ---------------------------------------------------------------------------

COVERED = """button => {
  const box = button.getBoundingClientRect();
  if (!button.checkVisibility()) return { shown: false, covered: [] };
  const walker = document.createTreeWalker(document.querySelector("article"), NodeFilter.SHOW_TEXT);
  const covered = [], range = document.createRange();
  while (walker.nextNode()) {
    range.selectNodeContents(walker.currentNode);
    const meets = it => it.left < box.right && it.right > box.left && it.top < box.bottom
      && it.bottom > box.top;
    if (Array.from(range.getClientRects()).some(meets)) covered.push(walker.currentNode.data);
  }
  const reached = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
  return { shown: true, covered, reached: button.contains(reached), inside: box.left >= 0 };
}"""


@pytest.mark.parametrize("width", [360, 800, 1400])
def test_back_to_top_covers_no_text(width, chromium, address):
    context = chromium.new_context(viewport={"width": width, "height": 700})
    page = context.new_page()
    page.goto(f"{address}channels.html", wait_until="networkidle")
    page.add_style_tag(content=".cell { content-visibility: visible !important }")
    button = page.locator(".back-to-top")
    page.mouse.move(width / 2, 350)
    for _ in range(6):
        page.mouse.wheel(0, 1500)
        page.wait_for_timeout(150)
        page.mouse.wheel(0, -300)  # the theme shows it to who scrolls up
        page.wait_for_timeout(150)
        assert page.locator("html.show-back-to-top").count() == 1
        found = button.evaluate(COVERED)
        assert found["shown"] == (width == 1400)
        assert found["covered"] == []
        if found["shown"]:
            assert found["reached"]
            assert found["inside"]
    if width == 1400:
        page.get_by_role("link", name="Back to top").click()
        page.wait_for_function("() => scrollY === 0")
    context.close()


# --- Where no script runs -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["images", "pooling"])
@pytest.mark.parametrize("way", ["file", "no scripts", "server"])
def test_a_figure_that_stands_still_says_why(way, name, chromium, site, address):
    context = chromium.new_context(java_script_enabled=way != "no scripts")
    page = context.new_page()
    page.goto(f"{f'file://{site}/' if way == 'file' else address}{name}.html")
    if way == "server":
        wake(page)
    said = {"file": "make serve", "no scripts": "JavaScript", "server": None}[way]
    for explorer in page.locator("[linked]").all():
        notes = explorer.locator(".explorer-note").filter(visible=True)
        assert notes.count() == (1 if said else 0)
        if said:
            assert said in notes.text_content()
            assert explorer.locator("div.figure svg").is_visible()
    page.emulate_media(media="print")
    assert page.locator(".explorer-note").filter(visible=True).count() == 0
    context.close()


# --- The whole ------------------------------------------------------------------------------------


def test_lenet_page_reports_a_whole_training(site):
    html = (site / "lenet.html").read_text("utf-8")
    text = re.sub(r"<[^>]+>", " ", html)
    for name in ("LeNet", "LeNet, better recipe"):  # what both recipes reach on the test set
        assert re.search(rf"\n{name} +\d\d\.\d ± \d\.\d %   from ", text), name
    assert "10 of 10 epochs on" in text
    if os.environ.get("CNN_TF_CI"):
        assert "50,000 pictures" in text


def test_no_log_noise_in_the_pages(site):
    for name in PAGES:
        html = (site / f"{name}.html").read_text("utf-8")
        for noise in (
            "oneDNN custom operations",
            "cpu_feature_guard",
            "WARNING",
            "cuda drivers",
            str(ROOT),
        ):
            assert noise not in html, noise
