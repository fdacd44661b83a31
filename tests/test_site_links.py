"""Words of the text that set the state of an explorer, by a link to the address that holds it."""

import importlib.util
import re
from html import unescape
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.browser import open_page
from tests.chapter import CHAPTER, source

ROOT = Path(__file__).parent.parent
ROLE = re.compile(r"\{explore\}`(.+?) <([\w-]+): (.+?)>`")
PAGES = [page for page in CHAPTER if ROLE.search(source(page))]

pytestmark = [pytest.mark.slow, pytest.mark.browser]


@pytest.fixture(scope="module")
def page(chromium):
    with open_page(chromium, 1000, 900) as page:
        yield page


@pytest.fixture
def follow(page, address):
    """Open the address of a link, as another window or a bookmark would."""

    def follow(name, href):
        page.goto("about:blank")
        page.goto(f"{address}{name}.html{href}")
        explorer = page.locator(f"cnn-{urlsplit(href).fragment.removeprefix('explore-')}")
        explorer.locator(".explorer").wait_for()
        return explorer

    return follow


def test_there_are_such_words_in_the_sections():
    assert set(PAGES) == {"images", "padding-and-stride", "channels", "pooling", "lenet"}
    assert sum(len(ROLE.findall(source(page))) for page in PAGES) >= 12


@pytest.mark.parametrize("name", PAGES)
def test_each_link_holds_a_state_that_the_explorer_takes_as_it_is(name, site, follow, page):
    html = (site / f"{name}.html").read_text("utf-8")
    links = re.findall(r'<a class="explore-link" href="([^"]+)">(.+?)</a>', html, re.DOTALL)
    asked = ROLE.findall(source(name))
    assert [unescape(words).replace("\u00a0", " ") for _, words in links] == [
        words for words, *_ in asked
    ]
    for (href, _), (_, explorer_name, settings) in zip(links, asked, strict=True):
        href = unescape(href)
        query = dict(parse_qsl(urlsplit(href).query))
        wanted = dict(setting.split("=") for setting in settings.split())
        assert query == {f"{explorer_name}.{key}": value for key, value in wanted.items()}
        explorer = follow(name, href)
        assert -50 < explorer.bounding_box()["y"] < 900
        written = explorer.evaluate(
            """(it, keys) => keys.map(key => it.constructor.kinds[key].write(it.state[key]))""",
            list(wanted),
        )
        assert written == list(wanted.values()), href
    assert page.problems == []


def test_the_build_knows_the_settings_of_the_modules(page, address):
    path = ROOT / "book" / "_extensions" / "explorers.py"
    specification = importlib.util.spec_from_file_location("explorers", path)
    explorers = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(explorers)
    modules = ROOT / "cnn_tf" / "explorers" / "javascript"
    names = {name for page_name in PAGES for _, name, _ in ROLE.findall(source(page_name))}
    page.goto(f"{address}index.html")
    for name in sorted(names):
        keys = page.evaluate(
            """async ([file, name]) => {
              await import(file);
              return Object.keys(customElements.get(name).kinds);
            }""",
            [f"{address}_static/javascript/{name}.js", f"cnn-{name}"],
        )
        assert list(explorers.read_kinds(modules / f"{name}.js")) == keys


# --- What the sentences say -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "words", "shown"),
    [
        ("images", "Nine equal numbers", "mean (blur)"),
        ("images", "turned on its side", "level edges (Sobel)"),
        ("images", "three layers of 3 × 3", "= 7"),
        ("images", "one of 3 × 3 after one of 2 × 2 with a stride of 2", "= 6"),
        ("images", "the flipped kernel", "0·3 + 1·2 + 3·1 + 4·0 = 5"),
        ("padding-and-stride", "a dilation of 2", "the window spans 2 · (3 − 1) + 1 = 5 cells"),
        ("padding-and-stride", "B", "⌊(8 − 5 + 4 + 1) / 1⌋ = 8"),
        ("padding-and-stride", "C", "⌊(8 − 3 + 2 + 2) / 2⌋ = 4"),
        ("padding-and-stride", "D", "⌊(8 − 5 + 2 + 4) / 4⌋ = 2"),
        ("channels", "the sum of the second output", "27 + 49 = 76"),
        ("channels", "a kernel of 1 and 2", "0 + 2 = 2"),
        ("pooling", "two moves to the right", "8 of 36 maxima change"),
        ("pooling", "one to the left", "8 of 36 maxima change"),
        ("pooling", "a stride of 1", "15 of 121 maxima change"),
    ],
)
def test_a_state_shows_what_its_sentence_says(name, words, shown, follow, page, address):
    page.goto(f"{address}{name}.html")
    link = page.locator("a.explore-link").get_by_text(words, exact=True)
    explorer = follow(name, link.get_attribute("href"))
    chosen = explorer.locator("select").evaluate_all(
        "all => all.map(it => it.selectedOptions[0]?.textContent)"
    )
    text = " ".join(explorer.locator(".explorer").inner_text().split())
    assert shown in (*chosen, text) or shown in text


@pytest.mark.parametrize(("rate", "grows"), [("0.033", False), ("0.034", True)])
def test_the_descent_settles_below_the_limit_and_grows_above(rate, grows, follow, page, address):
    page.goto(f"{address}images.html")
    link = page.locator("a.explore-link").get_by_text(rate, exact=True)
    explorer = follow("images", link.get_attribute("href"))
    step = explorer.get_by_role("button", name="Step", exact=True)
    for _ in range(40):
        step.click()
    assert ("The loss grows" in explorer.locator(".explorer").inner_text()) == grows


@pytest.mark.parametrize(
    ("words", "gaps"),
    [("a stride of 3", [5]), ("2 × 2 windows in steps of 3", [1, 4])],
)
def test_pixels_are_missed_where_the_text_says_so(words, gaps, follow, page, address):
    page.goto(f"{address}padding-and-stride.html")
    link = page.locator("a.explore-link").get_by_text(words, exact=True)
    explorer = follow("padding-and-stride", link.get_attribute("href"))
    used = explorer.get_by_role("table", name="X: how often each pixel is used").evaluate(
        """table => Array.from(table.rows, row => Array.from(row.cells, cell => cell.textContent))
          .map(row => row.filter(text => text !== "")).filter(row => row.length)"""
    )
    assert len(used) == 6
    for i, row in enumerate(used):
        assert row == ["0" if i in gaps or j in gaps else "1" for j in range(6)]


# --- The look -------------------------------------------------------------------------------------

SIGN = """link => {
  const sign = getComputedStyle(link, "::before");
  return { shown: sign.content !== "none", width: parseFloat(sign.width),
    paint: sign.backgroundColor, paper: getComputedStyle(document.body).backgroundColor };
}"""


@pytest.mark.parametrize("colours", ["none", "active"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_sign_tells_it_from_other_links(colours, scheme, page, address):
    page.emulate_media(forced_colors=colours, color_scheme=scheme)
    page.goto(f"{address}padding-and-stride.html")
    link = page.locator("a.explore-link").first
    sign = link.evaluate(SIGN)
    assert sign["shown"]
    assert sign["width"] > 8
    assert sign["paint"] not in (sign["paper"], "rgba(0, 0, 0, 0)")
    assert not page.locator("article a.internal").first.evaluate(SIGN)["shown"]
    page.emulate_media(forced_colors="none", color_scheme="light")


def test_in_print_it_is_a_word_like_others(page, address):
    page.goto(f"{address}padding-and-stride.html")
    page.emulate_media(media="print", forced_colors="none")
    link = page.locator("a.explore-link").first
    assert not link.evaluate(SIGN)["shown"]
    style = link.evaluate(
        "it => { const { paddingLeft, color } = getComputedStyle(it);"
        " return [paddingLeft, color, getComputedStyle(it.parentElement).color]; }"
    )
    assert style[0] == "0px"
    assert style[1] == style[2]
    page.emulate_media(media="screen")
