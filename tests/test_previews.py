"""What a reference points at, shown beside it."""

import pytest
from bs4 import BeautifulSoup

from tests.browser import listen, wake
from tests.chapter import CHAPTER

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def read(site):
    def read(page):
        return BeautifulSoup((site / f"{page}.html").read_text("utf-8"), "html.parser")

    return read


def entries(soup):
    """What the page brings along. Beautiful Soup takes what is in a template for no text."""
    return {
        entry["data-for"]: BeautifulSoup(entry.decode_contents(), "html.parser")
        for entry in soup.select("template#previews > div")
    }


def plain(text):
    return " ".join(text.replace("¶", " ").split())


@pytest.mark.parametrize("page", [*CHAPTER, "notation", "glossary", "speed"])
def test_each_reference_has_something_to_show(page, read):
    soup = read(page)
    brought, kinds = entries(soup), set()
    for link in soup.select('article a.internal[href*="#"]'):
        address = link["href"]
        path, _, name = address.partition("#")
        if path in ("glossary.html", "bibliography.html"):
            kinds.add(path)
            assert len(brought[address].get_text()) > 40
            assert not brought[address].select("a, [id]")
        elif path and name.startswith(("fig-", "equation-")):
            assert brought[address].select("svg, math")
        elif name.startswith(("fig-", "equation-", "term-")):
            kinds.add(name.partition("-")[0])
            target = soup.find(id=name)
            assert target.select("svg[role=img], math") or target.find_next_sibling("dd")
    if page in CHAPTER:
        assert kinds == {"glossary.html", "bibliography.html", "fig", "equation"}


def test_an_entry_is_that_of_the_glossary(read):
    entry = entries(read("images"))["glossary.html#term-kernel"]
    definition = read("glossary").find(id="term-kernel").find_next_sibling("dd")
    assert plain(entry.get_text()) == f"kernel. {plain(definition.get_text())}"


# --- In a browser ---------------------------------------------------------------------------------


@pytest.fixture(params=["mouse", "touch"])
def page(request, chromium):
    context = chromium.new_context(
        viewport={"width": 1000, "height": 700} if request.param == "mouse" else None,
        **({"has_touch": True, "is_mobile": True} if request.param == "touch" else {}),
    )
    context.set_default_timeout(10_000)
    page = context.new_page()
    page.by = request.param
    page.problems = listen(page)
    yield page
    assert page.problems == []
    context.close()


def visit(page, address):
    page.goto(address, wait_until="networkidle")
    page.evaluate("document.querySelectorAll('details').forEach(it => it.open = true)")
    # Else a cell near by may be laid out at any moment.
    page.add_style_tag(content=".cell { content-visibility: visible !important }")
    wake(page)  # an explorer that begins to live may be a pixel higher than its figure


def reach(page, link):
    """Point at a reference, or tap it."""
    link.scroll_into_view_if_needed()
    link.hover() if page.by == "mouse" else link.tap()


@pytest.mark.browser
def test_a_term_is_shown_and_nothing_moves(page, address):
    visit(page, f"{address}images.html")
    link = page.locator('article a[href="glossary.html#term-kernel"]').first
    link.scroll_into_view_if_needed()
    place = "it => [it.getBoundingClientRect().x, it.getBoundingClientRect().y, scrollY,"
    place += " document.documentElement.scrollHeight, document.documentElement.scrollWidth]"
    before, asked = link.evaluate(place), []
    page.on("request", lambda request: asked.append(request.url))
    reach(page, link)
    preview = page.locator("#preview")
    preview.wait_for()
    assert preview.inner_text().startswith("kernel. ")
    assert link.get_attribute("aria-describedby") == "preview"
    assert link.evaluate(place) == before
    assert asked == []
    box, size = preview.bounding_box(), page.viewport_size
    assert 0 <= box["x"] <= size["width"] - box["width"]
    assert 0 <= box["y"] <= size["height"] - box["height"]
    if page.by == "mouse":  # it can be pointed at itself, and goes when the pointer leaves
        preview.hover()
        page.wait_for_timeout(600)
        assert preview.is_visible()
        page.mouse.move(1, 1)
        preview.wait_for(state="hidden")
        assert link.get_attribute("aria-describedby") is None
    else:  # a second tap follows the link
        link.tap()
        page.wait_for_url("**/glossary.html#term-kernel")


@pytest.mark.browser
@pytest.mark.parametrize(
    ("name", "inside"), [("fig-images-photo", "svg"), ("equation-eq-images-corr2d", "math")]
)
def test_figures_and_equations_are_shown_where_they_are_out_of_sight(name, inside, page, address):
    visit(page, f"{address}images.html")
    links = page.locator(f'article a.internal[href="#{name}"]')
    reach(page, links.last)
    preview = page.locator("#preview")
    preview.locator(inside).first.wait_for()
    assert preview.locator("[id]").count() == 0
    if page.by == "touch":
        page.touchscreen.tap(2, 2)
    else:
        page.mouse.move(1, 1)
    preview.wait_for(state="hidden")
    page.locator(f'[id="{name}"]').first.scroll_into_view_if_needed()
    in_sight = page.evaluate(
        """name => {
            const inSight = (one) => {
                const { top, bottom } = one.getBoundingClientRect();
                return top >= 0 && bottom <= innerHeight;
            };
            const links = document.querySelectorAll(`article a.internal[href="#${name}"]`);
            const target = document.getElementById(name);
            return Array.from(links).findIndex((link) => inSight(link) && inSight(target));
        }""",
        name,
    )
    if in_sight >= 0 and page.by == "mouse":  # the reader sees it anyway
        links.nth(in_sight).hover()
        page.wait_for_timeout(600)
        assert not preview.is_visible()


@pytest.mark.browser
def test_the_keyboard_shows_it_and_escape_hides_it(page, address):
    visit(page, f"{address}lenet.html")
    link = page.locator('article a[href^="bibliography.html#"]').first
    page.keyboard.press("Tab")
    link.focus()
    preview = page.locator("#preview")
    preview.wait_for()
    assert len(preview.inner_text()) > 40
    page.keyboard.press("Escape")
    preview.wait_for(state="hidden")
    page.keyboard.press("Enter")
    page.wait_for_url("**/bibliography.html#*")
