"""The explorers on the pages, in a real browser: operated, and compared with Python's numbers."""

import functools
import gzip
import hashlib
import json
import math
import re
import time
from base64 import b64encode
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from cnn_tf import (
    AveragePooling2D,
    Conv2D,
    FashionMNIST,
    LeNet,
    MaxPooling2D,
    corr2d,
    corr2d_multi_in,
    explore,
    load_network,
    output_size,
    save_network,
)
from cnn_tf.explorers._figures import NAMED_KERNELS
from cnn_tf.explorers._network import pack
from cnn_tf.explorers._settings import CHOICES
from cnn_tf.functional import correlate
from cnn_tf.receptive_field import receptive_field
from tests.browser import barriers, listen, numbers, wake
from tests.test_explorers import forward, unpack
from tests.vectors import vectors

ROOT = Path(__file__).parent.parent
# The page of each explorer.
PAGES = {
    "sliding-window": "images",
    "kernels": "images",
    "learning": "images",
    "receptive-field": "images",
    "padding": "padding-and-stride",
    "channels": "channels",
    "pooling": "pooling",
    "lenet": "lenet",
    "training": "lenet",
}

pytestmark = [pytest.mark.slow, pytest.mark.browser]


@pytest.fixture(scope="module")
def context(chromium):
    context = chromium.new_context(viewport={"width": 1000, "height": 900})
    context.set_default_timeout(20_000)
    yield context
    context.close()


@pytest.fixture
def page(context):
    page = context.new_page()
    page.problems = listen(page)
    yield page
    assert page.problems == []
    page.close()


@functools.cache
def alone(site, name):
    """The page of an explorer without all else, which takes long to load."""
    html = (site / f"{PAGES[name]}.html").read_text("utf-8")
    styles = "".join(re.findall(r"<link [^>]*rel=\"stylesheet\"[^>]*>", html))
    (element,) = re.findall(rf"<cnn-{name} .*?</cnn-{name}>", html, re.DOTALL)
    return f"""<!doctype html><html lang="en"><head><title>{name}</title>{styles}</head>
      <body><article role="main">{element}</article>
      <script type="module" src="_static/javascript/{name}.js"></script></body></html>"""


@pytest.fixture
def show(page, address, site):
    """Open an explorer in the state that a query names, alone or on its whole page."""

    def show(name, query="", whole=False):
        if not whole:
            body = alone(site, name)
            page.route(
                re.compile(re.escape(f"{address}{PAGES[name]}.html")),
                lambda route: route.fulfill(body=body, content_type="text/html; charset=utf-8"),
            )
        page.goto(f"{address}{PAGES[name]}.html?{query}#explore-{name}")
        explorer = page.locator(f"cnn-{name}")
        explorer.scroll_into_view_if_needed()
        explorer.locator(".explorer").wait_for()
        return explorer

    return show


# --- All of them ----------------------------------------------------------------------------------


def close(actual, expected):
    """Equal up to the rounding of sums in another order."""
    if isinstance(expected, dict):
        return actual.keys() == expected.keys() and all(
            close(actual[key], expected[key]) for key in expected
        )
    if isinstance(expected, list):
        return len(actual) == len(expected) and all(map(close, actual, expected))
    if isinstance(expected, str) or expected is None:
        return actual == expected
    return math.isclose(actual, expected, rel_tol=1e-6, abs_tol=1e-6)


def test_arithmetic_is_that_of_the_package(page, address):
    cases = [(name, case) for name, given in vectors().items() for case in given]
    page.goto(f"{address}index.html")
    results = page.evaluate(
        """async ([address, cases]) => {
          const arithmetic = await import(address);
          const tensors = (it) => {
            if (Array.isArray(it)) return it.map(tensors);
            if (it === null || typeof it !== "object") return it;
            if (it.shape) return {...it, data: Float64Array.from(it.data)};
            return Object.fromEntries(Object.entries(it).map(([k, v]) => [k, tensors(v)]));
          };
          const plain = (it) => JSON.parse(JSON.stringify(it, (_, value) =>
            ArrayBuffer.isView(value) ? Array.from(value) : value));
          return cases.map(([name, given]) => {
            const f = name === "activations"
              ? (activation, x) => arithmetic.activations[activation](x)
              : arithmetic[name];
            return plain(f(...given.map(tensors)));
          });
        }""",
        [
            f"{address}_static/javascript/arithmetic.js",
            [(name, case["arguments"]) for name, case in cases],
        ],
    )
    assert len(cases) > 90
    for (name, case), result in zip(cases, results, strict=True):
        assert close(result, case["result"]), (name, case["arguments"])


@pytest.mark.parametrize("name", PAGES)
def test_every_control_has_a_name_and_the_keyboard_reaches_it(name, show, page):
    explorer = show(name)
    unnamed = explorer.evaluate(
        """host => [...host.shadowRoot.querySelectorAll("input, select, button, canvas, a")]
          .filter(it => it.checkVisibility())
          .filter(it => !(it.labels?.length && it.labels[0].textContent.trim())
            && !it.ariaLabel?.trim() && !it.textContent.trim() && it.ariaHidden !== "true")
          .map(it => it.outerHTML)"""
    )
    assert unnamed == []
    # From the first control, Tab leads through all that can have the focus, and out again.
    count = explorer.evaluate(
        """host => [...host.shadowRoot.querySelectorAll("input, select, button, a, [tabindex]")]
          .filter(it => it.tabIndex >= 0 && !it.disabled && it.checkVisibility()
            && !(it.type === "radio" && !it.checked)).length"""
    )
    explorer.evaluate("host => host.scrollIntoView()")
    page.evaluate(
        """host => { const before = document.createElement("a"); before.href = "#"; before.id = "b";
          document.querySelector(host).before(before); before.focus(); }""",
        f"cnn-{name}",
    )
    reached = set()
    for _ in range(count + 1):
        page.keyboard.press("Tab")
        place = explorer.evaluate(
            """host => { const all = [...host.shadowRoot.querySelectorAll("*")];
              return all.indexOf(host.shadowRoot.activeElement); }"""
        )
        if place < 0:
            break
        reached.add(place)
    assert len(reached) == count


@pytest.mark.parametrize("name", PAGES)
def test_reset_goes_back_and_the_address_is_bare_again(name, show, page):
    explorer = show(name)
    before = explorer.locator(".explorer").inner_text()
    explorer.get_by_role("button", name="Reset").click()
    page.wait_for_timeout(300)
    assert explorer.locator(".explorer").inner_text() == before
    assert "?" not in page.url.replace("?#", "#")


@pytest.mark.parametrize("name", PAGES)
def test_a_link_leads_to_it(name, page, address):
    page.goto(f"{address}{PAGES[name]}.html#explore-{name}")
    explorer = page.locator(f"cnn-{name}")
    explorer.locator(".explorer").wait_for()
    page.wait_for_timeout(1500)  # the theme glides
    assert abs(explorer.bounding_box()["y"]) < 200


@pytest.mark.parametrize("page_name", sorted(set(PAGES.values())))
def test_without_scripts_there_is_a_figure(page_name, chromium, site, address):
    for scripts, start in ((False, address), (True, f"file://{site}/")):
        context = chromium.new_context(java_script_enabled=scripts)
        page = context.new_page()
        page.goto(f"{start}{page_name}.html")
        for explorer in page.locator("[linked]").all():
            drawing = explorer.locator("div.figure svg")
            assert drawing.bounding_box()["width"] > 100
            assert len(drawing.get_attribute("aria-label")) > 20
        formula = page.locator("article math").first
        assert formula.bounding_box()["height"] > 8
        context.close()


@pytest.mark.parametrize("page_name", sorted(set(PAGES.values())))
def test_in_print_there_is_a_figure(page_name, page, address):
    page.goto(f"{address}{page_name}.html")
    wake(page)
    page.emulate_media(media="print")
    for explorer in page.locator("[linked]").all():
        assert explorer.locator("div.figure svg").is_visible()
        assert not explorer.locator(".explorer").is_visible()
    for control in ("Skip to content", "Show code cell source", "download"):
        assert page.get_by_text(control).filter(visible=True).count() == 0


@pytest.mark.parametrize("page_name", sorted(set(PAGES.values())))
def test_a_page_is_light(page_name, page, address):
    sizes = {}

    def weigh(response):
        body = response.body() if response.ok else b""
        packed = response.url.endswith((".woff2", ".png"))
        sizes[response.url] = len(body) if packed else len(gzip.compress(body, 6))

    page.on("response", weigh)
    page.goto(f"{address}{page_name}.html", wait_until="networkidle")
    wake(page)
    assert len(sizes) > 10
    assert sum(sizes.values()) < (700_000 if page_name == "lenet" else 400_000), sizes


def test_a_notebook_shows_them_without_any_file(page):
    names = [name for name in PAGES if name not in ("lenet", "training")]  # their data are large
    shown = [explore(name)._repr_html_() for name in (*names, "padding")]
    page.set_content("".join(f"<div>{html}</div>" for html in shown))
    for name in names:
        for explorer in page.locator(f"cnn-{name}").all():
            explorer.scroll_into_view_if_needed()
            explorer.locator(".explorer").wait_for()
            explorer.get_by_role("button", name="Reset").click()
            # The address belongs to the notebook.
            assert explorer.get_by_role("link").count() == 0
    assert page.locator("cnn-padding").count() == 2
    assert page.url == "about:blank"


# The state of each, changed as one of its controls changes it, many times; where there are sizes,
# at the largest.
CHANGES = {
    "sliding-window": "{X: Array(8).fill(Array(8).fill(i)), K: Array(5).fill([1, 2, i, 4, 5])}",
    "padding": "{size: [10, 10], padding: [3, 3], kernel_size: [1 + i % 7, 1 + i % 7]}",
    "channels": "{place: [i % 2, 1], channel: i % 3}",
    "kernels": "{kernel: Array.from({length: 5}, () => [1, 2, i, 4, -5])}",
    "pooling": "{shift: [i % 8, 1]}",
    "learning": "{learning_rate: 0.001 + i / 1000}",
    "receptive-field": "{layers: [[3, 1, 1], [1 + i % 9, 2, 1], [3, 1, 2], [5, 1, 1]]}",
    "lenet": "{picture: `noise-${i}`}",
    "training": "{rate: 0.001 + i / 100}",
}


@pytest.mark.parametrize("name", PAGES)
def test_it_answers_within_a_frame(name, show):
    explorer = show(name, whole=True)
    times = explorer.evaluate(
        """host => Array.from({length: 60}, (_, i) => {
          const start = performance.now();
          host.change(CHANGE);
          host.getBoundingClientRect();  // the layout too
          return performance.now() - start;
        })""".replace("CHANGE", CHANGES[name])
    )
    # Other programs run at the same time: the calmest ten changes say what the page can do.
    calm = min(np.median(times[first : first + 10]) for first in range(0, 60, 10))
    assert calm <= (30 if name == "lenet" else 16), times


# --- What a reader does ---------------------------------------------------------------------------

# A label, what is typed there, and why it is refused.
REFUSED = {
    "sliding-window": [("Rows of X", "12", "1 to 8"), ("Columns of K", "5", "1 to 3")],
    "padding": [
        ("size n", "12", "1 to 10"),
        ("size n", "1e9", "1 to 10"),
        ("size n", "1.5", "a whole number, 1 to 10"),
        ("size n", "1,5", "a whole number, 1 to 10"),
        ("size n", "−3", "1 to 10"),
        ("stride s", "two", "a number, 1 to 5"),
    ],
    "channels": [("Kernel size", "4", "1 to 3"), ("Rows of X", "7", "1 to 6")],
    "pooling": [("Window", "12", "1 to 4"), ("Stride", "0", "1 to 4")],
    "receptive-field": [("kernel size of layer 2", "12", "1 to 11")],
    "training": [
        ("learning rate", "2", "0.001 to 1"),
        ("learning rate", "fast", "a number, 0.001 to 1"),
        ("seed", "0.5", "a whole number, 0 to 9999"),
        ("pictures in a batch", "257", "1 to 256"),
    ],
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_stays_in_sight_and_changes_nothing(name, show, page):
    explorer = show(name)
    for label, text, reason in REFUSED[name]:
        before = explorer.evaluate("host => JSON.stringify(host.state)")
        field = explorer.get_by_label(label, exact=True).first
        held = field.input_value()
        field.focus()
        page.keyboard.press("Control+a")
        page.keyboard.type(text)
        page.keyboard.press("Tab")
        assert field.input_value() == text
        assert field.get_attribute("aria-invalid") == "true"
        explorer.get_by_role("alert").get_by_text(reason, exact=True).wait_for()
        assert explorer.evaluate("host => JSON.stringify(host.state)") == before
        field.focus()
        page.keyboard.press("Escape")
        assert field.input_value() == held
        assert explorer.get_by_text(reason, exact=True).filter(visible=True).count() == 0
    # What can be done is: by the buttons, and by the arrow keys.
    for button, key, by in (("one more", "ArrowDown", 1), ("one less", "ArrowUp", -1)):
        stepper = explorer.get_by_role("button", name=f"{label}: {button}", exact=True).first
        if stepper.is_enabled():
            stepper.click()
            assert int(field.input_value()) == int(held) + by
            field.focus()
            page.keyboard.press(key)
            assert field.input_value() == held


@pytest.mark.parametrize("name", ["sliding-window", "channels", "learning", "kernels"])
def test_cells_take_numbers_as_they_are_written(name, show, page):
    explorer = show(name)
    cell = explorer.locator("td input").first
    table = cell.evaluate("it => it.closest('table').getAttribute('aria-label')")
    taken = {
        "−2": -2,
        "-1,25": -1.25,
        "12345.678": 12345.678,
        "0.333": 0.333,
        "1e3": 1000,
        "-1 / 4": -0.25,
    }
    for text, value in taken.items():
        cell.fill(text)
        page.wait_for_timeout(20)
        room = cell.evaluate("it => [it.scrollWidth, it.clientWidth]")
        assert room[0] <= room[1], text
        cell.blur()
        assert numbers(explorer, table)[0][0] == value
    assert cell.get_attribute("aria-invalid") is None
    cell.fill("7")
    outside = "−1000000 to 1000000"
    for text, reason in {
        "1e9": outside,
        "123456789012": outside,
        "x": f"a number, {outside}",
    }.items():
        cell.focus()
        page.keyboard.press("Control+a")
        page.keyboard.type(text)
        page.keyboard.press("Tab")
        assert cell.input_value() == text
        assert cell.evaluate("it => it.scrollWidth <= it.clientWidth"), text
        told = explorer.get_by_role("alert").filter(visible=True).inner_text()
        assert told == f"Row 1, column 1: {reason}"
        # The state stays what it was.
        assert "7" in explorer.evaluate("host => JSON.stringify(host.state)").partition("]")[0]
    explorer.get_by_role("button", name="Reset").click()
    assert cell.get_attribute("aria-invalid") is None
    assert cell.input_value() != "x"
    assert explorer.get_by_role("alert").filter(visible=True).count() == 0


@pytest.mark.parametrize(
    ("X", "K", "total", "sign"),
    [
        ("12345.678,-1.25;0.333,4", "1,2;3,-4", 12345.678 - 2.5 + 0.999 - 16, "="),
        ("0.1,0.2;0.3,0.4", "1,1;1,1", 1.0, "="),
        ("0.333333333333,1;1,1", "1,0;0,0", 1 / 3, "≈"),
        ("0.1234567,1;1,1", "0.7654321,0;0,0", 0.1234567 * 0.7654321, "≈"),
        ("1000000,1000000;1000000,1000000", "1000000,1;1,1", 1e12 + 3e6, "="),
    ],
)
def test_a_sum_adds_up_or_says_that_it_is_rounded(X, K, total, sign, show):
    explorer = show("sliding-window", f"sliding-window.X={X}&sliding-window.K={K}")
    text = explorer.get_by_role("status").inner_text().replace("−", "-")
    terms, found, shown = re.fullmatch(r"(.*) ([=≈]) (\S+)", text).groups()
    assert found == sign
    assert math.isclose(float(shown), total, rel_tol=1e-3)
    products = [
        float(x.strip("()")) * float(k.strip("()"))
        for x, k in (term.split("·") for term in terms.split(" + "))
    ]
    assert math.isclose(sum(products), float(shown), rel_tol=1e-12 if sign == "=" else 1e-2)


def test_what_no_longer_fits_comes_back(show):
    explorer = show("sliding-window")
    explorer.get_by_label("X, row 3, column 1").fill("-6")
    before = numbers(explorer, "X"), numbers(explorer, "K")
    for label in ("Rows of X", "Columns of X"):
        field = explorer.get_by_label(label, exact=True)
        field.fill("1")
        field.blur()
        field.fill("3")
        field.blur()
    assert (numbers(explorer, "X"), numbers(explorer, "K")) == before
    explorer = show("channels")
    explorer.get_by_label("K, channel 1, row 2, column 2").fill("9")
    before = [numbers(explorer, f"{letter}, channel {c}") for letter in "XK" for c in (0, 1)]
    for label, less, more in (("Kernel size", "1", "2"), ("Input channels", "1", "2")):
        field = explorer.get_by_label(label, exact=True)
        field.fill(less)
        field.blur()
        field.fill(more)
        field.blur()
    after = [numbers(explorer, f"{letter}, channel {c}") for letter in "XK" for c in (0, 1)]
    assert after == before


def test_unticking_a_box_is_answered(show):
    explorer = show("padding")
    assert explorer.get_by_role("group", name="Columns", exact=True).count() == 0
    explorer.get_by_label("rows and columns alike").uncheck()
    assert explorer.get_by_role("group", name="Columns", exact=True).is_visible()
    explorer.get_by_label("rows and columns alike").check()
    assert explorer.get_by_role("group", name="Columns", exact=True).count() == 0


@pytest.mark.parametrize("name", PAGES)
def test_each_tab_stop_is_something(name, show):
    explorer = show(name)
    nameless = explorer.evaluate(
        """host => [...host.shadowRoot.querySelectorAll("*")]
          .filter(it => it.tabIndex >= 0 && it.checkVisibility())
          .filter(it => !it.matches("input, select, button, a[href], [role]"))
          .map(it => it.outerHTML)"""
    )
    assert nameless == []


@pytest.fixture
def forced(chromium, address):
    """A page where the system sets the colours."""
    context = chromium.new_context(forced_colors="active", viewport={"width": 1000, "height": 900})
    page = context.new_page()

    def show(name, query=""):
        page.goto(f"{address}{PAGES[name]}.html?{query}#explore-{name}")
        explorer = page.locator(f"cnn-{name}")
        explorer.locator(".explorer").wait_for()
        return explorer

    yield show
    context.close()


def test_marks_survive_forced_colours(forced):
    def lines(explorer, selector):
        return explorer.locator(selector).first.evaluate(
            "it => { const s = getComputedStyle(it); return `${s.outline} ${s.border}`; }"
        )

    window = forced("sliding-window")
    assert lines(window, "td.lit") != lines(window, "td:not(.lit)")
    window.get_by_label("X, row 1, column 1").hover()
    assert lines(window, ".x td.lit.mark") != lines(window, ".x td.lit:not(.mark)")
    assert lines(window, ".y td.mark") != lines(window, ".y td:not(.mark)")
    field = forced("receptive-field")
    assert lines(field, "tr.lit") != lines(field, "tr:not(.lit)")
    pooling = forced("pooling", "pooling.shift=0,1")
    assert lines(pooling, ".y td.mark") != lines(pooling, ".y td:not(.mark)")
    picture = forced("pooling").screenshot()
    table = forced("pooling")
    table.locator(".tiled").evaluate("it => it.classList.remove('tiled')")
    assert table.screenshot() != picture  # the edges of the windows are seen


@pytest.fixture
def phone(chromium, address):
    context = chromium.new_context(
        viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True
    )
    page = context.new_page()
    page.emulate_media(reduced_motion="reduce")
    page.goto_explorer = lambda name: _open(page, address, name)
    yield page
    context.close()


def _open(page, address, name):
    page.goto(f"{address}{PAGES[name]}.html#explore-{name}")
    explorer = page.locator(f"cnn-{name}")
    explorer.scroll_into_view_if_needed()
    explorer.locator(".explorer").wait_for()
    page.wait_for_timeout(300)
    return explorer


# The last control, and what it changes.
BESIDE = {
    "sliding-window": ("Columns of K", "Y"),
    "padding": ("dilation d", "Y: how many pixels each output sees"),
    "channels": ("Columns of X", "Y, channel 0"),
    "pooling": ("Stride", "mean"),
}


@pytest.mark.parametrize("name", BESIDE)
def test_on_a_phone_the_result_stays_in_sight(name, phone):
    explorer = phone.goto_explorer(name)
    label, table = BESIDE[name]
    explorer.get_by_label(label, exact=True).first.evaluate("it => it.scrollIntoView(false)")
    phone.wait_for_timeout(100)
    box = explorer.get_by_role("table", name=table, exact=True).bounding_box()
    assert 0 <= box["y"] <= 740 - box["height"]
    explorer.evaluate("it => it.scrollIntoView({block: 'center'})")
    phone.wait_for_timeout(100)
    hidden = explorer.locator(".result.stays").evaluate("""it => {
        const { top, bottom } = it.getBoundingClientRect();
        const others = [...it.parentElement.children].filter(other => other !== it);
        const places = others.map(other => other.getBoundingClientRect());
        return places.filter(place => place.top < bottom && place.bottom > top).length;
    }""")
    assert hidden == 0
    signs = explorer.locator(".term > .sign").all()
    assert signs
    for sign in signs:  # a sign stands before its part, on the same line
        beside = sign.locator("xpath=following-sibling::*[1]").bounding_box()
        place = sign.bounding_box()
        assert place["x"] < beside["x"]
        assert beside["y"] <= place["y"] + place["height"] / 2 <= beside["y"] + beside["height"]


def test_a_finger_scrolls_over_the_picture_and_drags_it_sideways(phone):
    explorer = phone.goto_explorer("pooling")
    box = explorer.get_by_role("table", name="X", exact=True).bounding_box()
    finger = phone.context.new_cdp_session(phone)
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def swipe(right, down):
        def touch(kind, part):
            points = [{"x": x + part * right, "y": y + part * down}] if part is not None else []
            finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

        touch("touchStart", 0)
        for n in range(1, 11):
            touch("touchMove", n / 10)
            phone.wait_for_timeout(16)
        touch("touchEnd", None)
        phone.wait_for_timeout(200)
        return explorer.evaluate("host => host.state.shift")

    before = phone.evaluate("scrollY")
    assert swipe(4, -120) == [0, 0]
    assert phone.evaluate("scrollY") > before + 40
    phone.evaluate(f"scrollTo(0, {before})")
    phone.wait_for_timeout(200)
    assert swipe(80, 4)[1] >= 2


def test_the_link_to_a_state_is_copied_and_says_so(chromium, address):
    context = chromium.new_context()
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    explorer = _open(page, address, "padding")
    explorer.get_by_label("stride s", exact=True).first.fill("2")
    explorer.get_by_role("link", name="Link to this state").click()
    explorer.get_by_text("Copied.").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith(address)
    assert "padding.strides=2,2#explore-padding" in copied
    context.clear_permissions()
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(Error()); }")
    explorer.get_by_role("link", name="Link to this state").click()
    explorer.get_by_text("It is in the address bar").wait_for()
    assert page.url == copied
    explorer.get_by_label("stride s", exact=True).first.fill("3")
    assert explorer.get_by_text("It is in the address bar").count() == 0
    context.close()


def test_a_link_in_the_text_sets_the_state_and_back_takes_it_back(show, page):
    explorer = show("padding")
    explorer.get_by_label("size n", exact=True).first.fill("9")
    page.evaluate(
        """() => {
          window.notLoadedAgain = true;
          const link = document.createElement("a");
          link.href = "?padding.strides=3,3#explore-padding";
          link.textContent = "set the stride to 3";
          document.querySelector("cnn-padding").before(link);
        }"""
    )
    place = page.get_by_text("set the stride to 3")
    place.scroll_into_view_if_needed()
    place.click()
    assert explorer.evaluate("host => [host.state.size, host.state.strides]") == [[6, 6], [3, 3]]
    assert "padding.strides=3,3" in page.url
    page.go_back()
    page.wait_for_function(
        "() => document.querySelector('cnn-padding').state.strides.join() === '1,1'"
    )
    assert explorer.evaluate("host => host.state.size") == [9, 9]
    page.go_forward()
    page.wait_for_function(
        "() => document.querySelector('cnn-padding').state.strides.join() === '3,3'"
    )
    assert page.evaluate("window.notLoadedAgain")


# --- The sliding window ---------------------------------------------------------------------------


def test_the_window_slides(show, page):
    explorer = show("sliding-window")
    X, K = np.arange(9).reshape(3, 3), np.arange(4).reshape(2, 2)
    assert numbers(explorer, "Y") == np.asarray(corr2d(X, K)).tolist()
    note = explorer.get_by_role("status")
    assert note.inner_text() == "0·0 + 1·1 + 3·2 + 4·3 = 19"
    for total in (25, 37, 43, 19):
        explorer.get_by_role("button", name="Step").click()
        assert note.inner_text().endswith(f"= {total}")
    explorer.get_by_role("button", name="43").hover()
    assert note.inner_text() == "4·0 + 5·1 + 7·2 + 8·3 = 43"
    page.wait_for_timeout(300)
    assert page.url.endswith("?sliding-window.place=1,1#explore-sliding-window")


def test_numbers_of_the_window_are_typed_and_walked_through(show, page):
    explorer = show("sliding-window")
    explorer.get_by_label("K, row 1, column 1").focus()
    page.keyboard.press("Control+a")
    page.keyboard.type("-1.5")
    page.keyboard.press("ArrowDown")
    page.keyboard.type("0,5")  # the focus selects what is there
    K = np.array([[-1.5, 1], [0.5, 3]])
    X = np.arange(9.0).reshape(3, 3)
    assert numbers(explorer, "Y") == np.asarray(corr2d(X, K)).tolist()
    page.keyboard.press("Control+a")
    page.keyboard.type("x")
    assert explorer.get_by_label("K, row 2, column 1").get_attribute("aria-invalid") == "true"
    page.keyboard.press("Escape")
    assert numbers(explorer, "K") == K.tolist()
    # The state comes back from its address.
    page.wait_for_timeout(300)
    query = page.url.partition("?")[2].partition("#")[0]
    assert "sliding-window.K=-1.5,1;0.5,3" in query
    again = show("sliding-window", query)
    assert numbers(again, "Y") == np.asarray(corr2d(X, K)).tolist()


def test_a_pixel_shows_the_outputs_that_use_it(show, page):
    explorer = show("sliding-window")
    explorer.get_by_label("X, row 2, column 2").hover()
    explorer.get_by_text("Outputs that use this pixel: 4 of 4.").wait_for()
    explorer.get_by_label("X, row 1, column 3").focus()
    explorer.get_by_text("Outputs that use this pixel: 1 of 4.").wait_for()
    # The sum stays, and so do its window and its kernel.
    assert explorer.get_by_role("status").inner_text() == "0·0 + 1·1 + 3·2 + 4·3 = 19"
    tables = {name: explorer.get_by_role("table", name=name, exact=True) for name in "XKY"}
    assert [tables[name].locator("td.lit").count() for name in "XKY"] == [4, 4, 1]
    assert [tables[name].locator("td.mark").count() for name in "XKY"] == [1, 1, 1]
    page.keyboard.press("Control+a")
    page.keyboard.type("7")
    assert explorer.get_by_role("status").inner_text() == "0·0 + 1·1 + 3·2 + 4·3 = 19"
    assert numbers(explorer, "Y")[0][1] == 1 * 0 + 7 * 1 + 4 * 2 + 5 * 3


def test_playing_stops_at_the_end_and_on_demand(show, page):
    explorer = show("sliding-window")
    explorer.get_by_role("button", name="Play").click()
    explorer.get_by_role("button", name="Pause").click()
    assert explorer.get_by_role("button", name="Play").is_visible()
    page.emulate_media(reduced_motion="reduce")
    explorer.get_by_role("button", name="Play").click()  # all at once
    assert explorer.get_by_role("button", name="Play").is_visible()
    assert explorer.get_by_role("status").inner_text().endswith("= 19")
    page.emulate_media(reduced_motion="no-preference")


# --- Padding and stride ---------------------------------------------------------------------------

SIZES = [
    {"size": (8, 8), "kernel_size": (3, 3), "padding": (1, 1), "strides": (2, 2)},
    {"size": (8, 8), "kernel_size": (3, 5), "padding": (0, 1), "strides": (3, 4)},
    {"size": (7, 10), "kernel_size": (2, 5), "padding": "same", "strides": (3, 2)},
    {"size": (9, 9), "kernel_size": (3, 2), "padding": (3, 2), "dilation_rate": (2, 4)},
    {"size": (10, 4), "kernel_size": (7, 4), "padding": "valid"},
]


@pytest.mark.parametrize("settings", SIZES, ids=str)
def test_sizes_are_those_of_keras(settings, show):
    query = "&".join(
        f"padding.{key}={value if isinstance(value, str) else ','.join(map(str, value))}"
        for key, value in settings.items()
    )
    explorer = show("padding", query)
    expected = output_size(settings["size"], **{k: v for k, v in settings.items() if k != "size"})
    Y = numbers(explorer, "Y: how many pixels each output sees")
    assert (len(Y), len(Y[0])) == expected
    formulas = explorer.get_by_role("status").inner_text().splitlines()
    assert [int(line.rpartition("=")[2]) for line in formulas] == list(expected)

    # How often a pixel is used, and how many an output sees: from Keras's own layer.
    own = {key: value for key, value in settings.items() if key not in ("size", "padding")}
    image = np.ones((1, *settings["size"], 1), "float32")
    if isinstance(settings["padding"], str):
        own["padding"] = settings["padding"]
        padded = image
    else:
        padded = np.pad(image, ((0, 0), *((p, p) for p in settings["padding"]), (0, 0)))
    layer = keras.layers.Conv2D(1, use_bias=False, kernel_initializer="ones", **own)
    seen = np.asarray(layer(padded))[0, :, :, 0]
    assert seen.tolist() == Y
    used = [cell for row in numbers(explorer, "X: how often each pixel is used") for cell in row]
    used = [cell for cell in used if cell is not None]
    assert len(used) == np.prod(settings["size"])
    assert sum(used) == seen.sum()


def test_padding_is_set_by_keyboard(show, page):
    explorer = show("padding")
    stride = explorer.get_by_label("stride s", exact=True).first
    stride.focus()
    page.keyboard.press("ArrowUp")
    assert stride.input_value() == "2"
    size = output_size((6, 6), 3, padding=1, strides=2)
    Y = numbers(explorer, "Y: how many pixels each output sees")
    assert (len(Y), len(Y[0])) == size
    explorer.get_by_role("combobox", name="padding").select_option("valid")
    Y = numbers(explorer, "Y: how many pixels each output sees")
    assert (len(Y), len(Y[0])) == output_size((6, 6), 3, padding="valid", strides=2)
    explorer.get_by_label("kernel k", exact=True).first.fill("2.5")  # is no size
    Y = numbers(explorer, "Y: how many pixels each output sees")
    assert (len(Y), len(Y[0])) == output_size((6, 6), 3, padding="valid", strides=2)
    explorer.get_by_label("kernel k", exact=True).first.fill("7")
    assert "does not fit" in explorer.get_by_role("status").inner_text()


# --- Channels -------------------------------------------------------------------------------------


def test_channels_are_summed_as_by_the_package(show, page):
    explorer = show("channels")

    def given(letter, count):
        return np.array([numbers(explorer, f"{letter}, channel {c}") for c in range(count)])

    def agrees(inputs, outputs):
        for channel in range(outputs):
            shown = explorer.get_by_role("combobox", name="Output channel shown", exact=True)
            shown.select_option(str(channel))
            expected = corr2d_multi_in(given("X", inputs), given("K", inputs))
            assert numbers(explorer, f"Y, channel {channel}") == np.asarray(expected).tolist()

    agrees(2, 3)
    assert numbers(explorer, "Y, channel 0") == [[56, 72], [104, 120]]
    assert numbers(explorer, "Y, channel 2") == [[96, 128], [192, 224]]
    explorer.get_by_label("Input channels", exact=True).fill("3")
    explorer.get_by_label("Output channels", exact=True).fill("2")
    explorer.get_by_label("Kernel size", exact=True).fill("1")
    explorer.get_by_label("Columns of X", exact=True).fill("4")
    explorer.get_by_label("X, channel 2, row 1, column 4").fill("-2.5")
    agrees(3, 2)
    Y = numbers(explorer, "Y, channel 1")
    assert (len(Y), len(Y[0])) == (3, 4)
    # Pointing at an output chooses its channel, and writes its sum out.
    explorer.get_by_role("table", name="Y, channel 0").locator("button").nth(3).focus()
    text = explorer.get_by_role("status").inner_text()
    assert f"= {numbers(explorer, 'Y, channel 0')[0][3]:g}".replace("-", "−") in text
    page.wait_for_timeout(300)
    query = page.url.partition("?")[2].partition("#")[0]
    assert numbers(show("channels", query), "Y, channel 1") == Y


# --- Pooling --------------------------------------------------------------------------------------


def test_pooling_is_that_of_the_package(show):
    explorer = show("pooling")
    for preset in ("upright edge", "slanted edge", "dot"):
        for window, stride in ((2, 2), (3, 1), (3, 2)):
            _compare_pooling(explorer, preset, window, stride)
            explorer.get_by_role("button", name="Reset").click()


def _compare_pooling(explorer, preset, window, stride):
    explorer.get_by_role("combobox", name="Picture").select_option(label=preset)
    explorer.get_by_label("Window", exact=True).fill(str(window))
    explorer.get_by_label("Stride", exact=True).fill(str(stride))
    layers = {
        "maximum": MaxPooling2D(window, stride),
        "mean": AveragePooling2D(window, stride),
    }
    before = np.array(numbers(explorer, "X"))
    explorer.get_by_role("button", name="Right").click()
    explorer.get_by_role("button", name="Right").click()
    explorer.get_by_role("button", name="Up").click()
    after = np.array(numbers(explorer, "X"))
    # What comes in repeats the border.
    expected = np.pad(before, ((0, 1), (2, 0)), "edge")[1:, :-2]
    assert (after == expected).all()
    counts = []
    for name, layer in layers.items():
        old, new = (np.asarray(layer(x[None, ..., None]))[0, ..., 0] for x in (before, after))
        assert np.allclose(numbers(explorer, name), new, atol=6e-3)
        framed = explorer.get_by_role("table", name=name, exact=True).locator("td.mark").count()
        assert framed == (~np.isclose(old, new)).sum()
        counts.append(framed)
    text = explorer.get_by_role("status").first.inner_text()
    assert text.startswith(f"Shift (−1, 2): {counts[0]} of {new.size} maxima change, {counts[1]} ")


def test_a_pixel_of_the_picture_is_toggled_by_mouse_and_keyboard(show, page):
    page.emulate_media(reduced_motion="reduce")  # the page does not glide while we point
    explorer = show("pooling")
    cell = explorer.get_by_role("table", name="X").locator("tr").nth(7).locator("button").nth(1)
    cell.click()
    assert numbers(explorer, "X")[7][1] == 1
    assert numbers(explorer, "maximum")[3][0] == 1
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Space")
    assert numbers(explorer, "X")[7][0] == 1
    assert numbers(explorer, "mean")[3][0] == 0.5
    page.emulate_media(reduced_motion="no-preference")


# --- Kernels on a picture -------------------------------------------------------------------------


def sum_at(explorer):
    """The number at the end of the note."""
    text = explorer.get_by_role("status").inner_text()
    return float(re.findall(r"−?[\d.]+", text)[-1].replace("−", "-"))


def test_the_response_is_that_of_the_package(show, page, site, tmp_path):
    explorer = show("kernels")
    data = json.loads((site / "_static/explorer-images-kernels.json").read_text("utf-8"))
    photo = unpack(data["picture"]) / 255
    picture = explorer.get_by_label("Picture: the arrow keys move from pixel to pixel")
    picture.focus()
    page.keyboard.press("ArrowLeft")
    place = re.findall(r"\d+", explorer.get_by_role("status").inner_text())[:2]
    row, column = (int(number) - 1 for number in place)
    repeated = {"padding": "same", "padding_mode": "replicate"}
    for preset in ("identity", "mean", "upright", "laplacian", "emboss"):
        explorer.get_by_role("combobox", name="kernel").select_option(preset)
        for size in ("3", "5"):
            explorer.get_by_role("combobox", name="size").select_option(size)
            kernel = np.array(numbers(explorer, "K"))
            assert kernel.shape == (int(size), int(size))
            response = correlate(photo[None, ..., None], kernel[..., None, None], **repeated)
            expected = float(response[0, row, column, 0])
            assert math.isclose(sum_at(explorer), expected, rel_tol=2e-2, abs_tol=1e-2)
    picture.hover(position={"x": 1, "y": 1})  # where the kernel hangs over
    assert "Row 1, column 1:" in explorer.get_by_role("status").inner_text()
    assert math.isclose(sum_at(explorer), float(response[0, 0, 0, 0]), rel_tol=2e-2, abs_tol=1e-2)
    # The magnifier shows the pixels under the kernel, here with the border repeated.
    corner = np.pad(photo, 2, "edge")[:5, :5]
    assert np.allclose(numbers(explorer, "Pixels under K"), corner, atol=6e-4)
    assert math.isclose(numbers(explorer, "Sum")[0][0], sum_at(explorer), abs_tol=1e-3)
    explorer.get_by_label("K, row 1, column 1").fill("-7")
    assert explorer.get_by_role("combobox", name="kernel").input_value() == "own"
    explorer.get_by_role("combobox", name="size").select_option("3")
    for name, kernel in NAMED_KERNELS.items():  # as the static figure has them
        explorer.get_by_role("combobox", name="kernel").select_option(label=name)
        assert np.allclose(numbers(explorer, "K"), kernel, atol=0.01)
        signed = explorer.get_by_label("signed colours")
        assert signed.is_checked() == (not math.isclose(np.sum(kernel), 1))
    signed.click()  # what the reader chooses stays
    chosen = signed.is_checked()
    for name in NAMED_KERNELS:
        explorer.get_by_role("combobox", name="kernel").select_option(label=name)
        assert signed.is_checked() == chosen


def test_own_pictures_and_what_is_none(show, page, tmp_path):
    from skimage.io import imsave

    explorer = show("kernels")
    imsave(tmp_path / "grey.png", np.full((40, 60), 128, np.uint8), check_contrast=False)
    (tmp_path / "letter.txt").write_text("no picture")
    choose = explorer.locator("input[type=file]")
    choose.set_input_files(tmp_path / "letter.txt")
    explorer.get_by_role("alert").get_by_text("is no picture").wait_for()
    choose.set_input_files(tmp_path / "grey.png")
    explorer.get_by_text("is no picture").wait_for(state="detached")
    choose.set_input_files(tmp_path / "letter.txt")
    explorer.get_by_role("alert").get_by_text("is no picture").wait_for()
    explorer.get_by_role("combobox", name="kernel").select_option("mean")
    explorer.get_by_text("is no picture").wait_for(state="detached")
    explorer.get_by_role("combobox", name="kernel").select_option("identity")
    explorer.get_by_label("Picture: the arrow keys move from pixel to pixel").focus()
    page.keyboard.press("ArrowUp")
    page.wait_for_timeout(100)
    assert math.isclose(sum_at(explorer), 128 / 255, abs_tol=0.005)
    assert "grey" not in page.url


# --- Learning a kernel ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rate", "start"), [(0.03, [[0.2, 0.2]]), (0.01, [[-0.5, 0.75]]), (0.02, [[1, 0], [0, -1]])]
)
def test_gradient_descent_is_that_of_keras(rate, start, show):
    X = np.random.default_rng(0).integers(-2, 3, (5, 6)) / 4
    K = [[1, -1]] if len(start) == 1 else [[1, -1], [2, 0.5]]
    written = {
        name: ";".join(",".join(f"{x:g}" for x in row) for row in matrix)
        for name, matrix in {"X": X.tolist(), "K": K, "start": start}.items()
    }
    query = "&".join(f"learning.{name}={text}" for name, text in written.items())
    explorer = show("learning", f"{query}&learning.learning_rate={rate}")
    for _ in range(10):
        explorer.get_by_role("button", name="Step").click()

    layer = Conv2D(1, np.shape(K), use_bias=False)
    layer.build((None, None, None, 1))
    layer.kernel.assign(np.array(start)[..., None, None])
    optimizer, image = keras.optimizers.SGD(rate), X[None, ..., None].astype("float32")
    wanted = np.asarray(corr2d(X, np.array(K)))[None, ..., None]
    for step in range(11):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum((layer(image) - wanted) ** 2)
        if step < 10:
            gradients = tape.gradient(loss, layer.trainable_variables)
            optimizer.apply(gradients, layer.trainable_variables)
    found = re.fullmatch(r"Step 10: loss ([\d.e−]+), kernel (.*)", note(explorer))
    assert math.isclose(float(found[1].replace("−", "-")), float(loss), rel_tol=2e-3)
    kernel = [float(text.replace("−", "-")) for text in found[2].split(", ")]
    assert np.allclose(kernel, np.asarray(layer.kernel).ravel(), atol=2e-3)


def note(explorer):
    return explorer.get_by_role("status").inner_text().strip().splitlines()[0]


def test_too_large_a_learning_rate_diverges_and_is_told(show, page):
    page.emulate_media(reduced_motion="reduce")
    explorer = show("learning", "learning.learning_rate=0.05")
    explorer.get_by_role("button", name="Play").click()
    assert "diverged" in explorer.get_by_role("status").inner_text()
    assert "diverges above 0.0333" in explorer.get_by_label("learning rate").get_attribute(
        "aria-valuetext"
    )
    page.emulate_media(reduced_motion="no-preference")


def test_no_kernel_that_can_be_chosen_diverges(show, page):
    page.emulate_media(reduced_motion="reduce")
    explorer = show("learning")
    chosen = explorer.get_by_role("combobox", name="kernel to be found")
    for option in chosen.locator("option:enabled").all():
        explorer.get_by_role("button", name="Reset").click()
        chosen.select_option(option.inner_text())
        explorer.get_by_role("button", name="Play").click()
        told = explorer.locator(".chart.y").get_attribute("aria-label").replace("−", "-")
        first, last = re.search("from (.*) to (.*) in", told).groups()
        assert float(last) < 0.01 * float(first), option.inner_text()
    page.emulate_media(reduced_motion="no-preference")


def test_each_line_of_a_kernel_has_a_look_of_its_own(show):
    explorer = show("learning")
    chosen = explorer.get_by_role("combobox", name="kernel to be found")
    chosen.select_option("Sobel")
    for _ in range(3):
        explorer.get_by_role("button", name="Step").click()
    lines = explorer.locator("g polyline").evaluate_all(
        """lines => lines.map(it => getComputedStyle(it)).map(it =>
          it.stroke + it.strokeDasharray)"""
    )
    assert len(lines[1:]) == len(set(lines[1:])) == 9  # the first is the loss
    explorer.get_by_role("table", name="Kernel now").locator("button").nth(4).focus()
    assert explorer.locator("g.pointed").text_content() == "K₁₁"


def test_a_long_run_stays_as_fast(show):
    times = show("learning").evaluate(
        """host => {
          host.change({K: [[1, 0, -1], [2, 0, -2], [1, 0, -1]], learning_rate: 0.001});
          const step = [...host.shadowRoot.querySelectorAll("button")].find(it =>
            it.textContent === "Step");
          return Array.from({length: 2000}, () => {
            const start = performance.now();
            step.click();
            return performance.now() - start;
          });
        }"""
    )
    # Other programs run at the same time: the calmest twenty steps say what the page can do.
    early, late = (
        min(np.median(part[first : first + 20]) for first in range(0, 200, 20))
        for part in (times[200:400], times[-200:])
    )
    assert late < 3 * early


# --- The receptive field --------------------------------------------------------------------------


def test_the_field_is_that_of_the_package(show):
    explorer = show("receptive-field", "receptive-field.layers=3,1,2;2,2,1;5,1,1;3,3,1")
    for button in ("Add a layer", "Remove layer 2"):
        explorer.get_by_role("button", name=button).click()
        rows = explorer.get_by_role("table", name="Layers").locator("tbody tr")
        rows = rows.filter(visible=True).all()
        layers = []
        for number, row in enumerate(rows, 1):
            k, s, d = (
                int(explorer.get_by_label(f"{name} of layer {number}", exact=True).input_value())
                for name in ("kernel size", "stride", "dilation")
            )
            layers.append(Conv2D(1, k, strides=s, dilation_rate=d))
            field = receptive_field(layers)
            shown = [int(text) for text in row.locator("td").all_inner_texts()[-3:-1]]
            assert shown == [field.size[0], field.strides[0]]
    assert len(rows) == 4


def test_what_a_setting_undoes_is_said(show):
    explorer = show("receptive-field", "receptive-field.layers=3,1,2;2,1,1")
    explorer.get_by_label("stride of layer 1", exact=True).fill("2")
    assert explorer.get_by_label("dilation of layer 1", exact=True).input_value() == "1"
    assert "the dilation of layer 1 is 1 again" in explorer.get_by_role("status").inner_text()


# --- LeNet ----------------------------------------------------------------------------------------

FORWARD = """async ([address, file, pictures]) => {
  const { network, forward } = await import(address + "network.js");
  const { softmax, tensor } = await import(address + "arithmetic.js");
  const layers = network(file, 10);
  return pictures.map(picture => Array.from(softmax(
    forward(layers, tensor([28, 28, 1], Float64Array.from(picture))).at(-1).result.data)));
}"""


def in_page(page, address, file, images):
    given = [f"{address}_static/javascript/", file, images.reshape(len(images), -1).tolist()]
    return np.array(page.evaluate(FORWARD, given))


def test_probabilities_are_those_of_keras(page, address, tmp_path):
    images = FashionMNIST().test.images[:100]
    page.goto(f"{address}lenet.html")
    for settings in ({}, {"activation": "relu", "pooling": "max"}, {"activation": "tanh"}):
        keras.utils.set_random_seed(1)
        model = LeNet(**settings)
        for weight in model.weights:
            weight.assign(3 * weight)  # as sure of itself as a trained one
        file = saved(model, tmp_path)
        expected = np.asarray(keras.ops.softmax(model(images)))
        assert np.abs(in_page(page, address, file, images) - expected).max() < 1e-4


def saved(model, folder):
    save_network(model, folder / "mine.json")
    return json.loads((folder / "mine.json").read_text("utf-8"))


def test_the_network_of_the_page_is_right_about_clothes(page, site, address):
    data = FashionMNIST()
    page_data = json.loads((site / "_static/explorer-lenet-lenet.json").read_text("utf-8"))
    file = page_data["network"]
    page.goto(f"{address}lenet.html")
    images, labels = data.test.images[:100], data.test.labels[:100]
    probabilities = in_page(page, address, file, images)
    expected = np.asarray(keras.ops.softmax(forward(file["layers"], images)))
    assert np.abs(probabilities - expected).max() < 1e-4
    assert np.mean(probabilities.argmax(axis=1) == labels) > 0.8 or data.source.is_sample


def percents(explorer):
    return explorer.locator(".bars .percent").all_inner_texts()


def query_of(explorer):
    """The query of the link to its state, which the address takes a little later."""
    link = explorer.get_by_role("link", name="Link to this state")
    return link.get_attribute("href").partition("?")[2].partition("#")[0]


def pad_of(explorer):
    return explorer.get_by_label(re.compile("The picture. Draw"))


def pixels(explorer):
    """The greys that the pad shows, from 0 to 15."""
    shown = pad_of(explorer).evaluate(
        """pad => Array.from(pad.getContext("2d").getImageData(0, 0, 28, 28).data)
          .filter((_, i) => i % 4 === 0)"""
    )
    greys = np.array(shown).reshape(28, 28) / 17
    assert np.allclose(greys, greys.round(), atol=0.06)  # and no others
    return greys.round().astype(int)


def test_lenet_takes_clothes_noise_and_files(show, page, tmp_path):
    explorer = show("lenet")
    said = explorer.get_by_role("status")
    assert "The label is T-shirt/top" in said.inner_text()
    explorer.get_by_label("Ankle boot, picture 30").check(force=True)
    assert "The label is Ankle boot" in said.inner_text()
    assert abs(sum(float(text.removesuffix(" %")) for text in percents(explorer)) - 100) < 1
    assert explorer.get_by_role("group", name=re.compile("maps of 28 × 28")).count() >= 1
    assert explorer.get_by_role("group", name=re.compile("16 feature maps of")).count() >= 2
    explorer.get_by_role("button", name="Noise").click()
    assert "lenet.picture=noise-1" in query_of(explorer)

    # A network of the reader's own, and a file that is none.
    model = LeNet()
    (tmp_path / "wrong.json").write_text("{}")
    saved(model, tmp_path)
    explorer.get_by_label("T-shirt/top, picture 1", exact=True).check(force=True)
    explorer.get_by_label("Your network").set_input_files(tmp_path / "mine.json")
    explorer.get_by_text("your network, “mine.json”").wait_for()
    first = next(i for i, label in enumerate(FashionMNIST().test.labels) if label == 0)
    image = FashionMNIST().test.images[first : first + 1]
    expected = np.asarray(keras.ops.softmax(model(image)))[0]
    shown = [float(text[:-2]) / 100 for text in percents(explorer)]
    assert np.allclose(shown, expected, atol=6e-4)
    explorer.get_by_label("Your network").set_input_files(tmp_path / "wrong.json")
    explorer.get_by_role("alert").get_by_text("cnn_tf.save_network").wait_for()
    assert explorer.get_by_text("your network, “mine.json”").is_visible()
    explorer.get_by_role("button", name="Reset").click()
    assert explorer.get_by_role("alert").filter(visible=True).count() == 0


# Drawing


def test_a_quick_stroke_is_a_line_and_stays_on_the_pad(show, page):
    explorer = show("lenet")
    explorer.get_by_role("button", name="Clear").click()
    pad = pad_of(explorer)
    box = pad.bounding_box()

    def at(row, column):
        cell = box["width"] / 28
        page.mouse.move(box["x"] + (column + 0.5) * cell, box["y"] + (row + 0.5) * cell)

    at(4, 3)
    page.mouse.down()
    at(4, 24)  # at once
    greys = pixels(explorer)
    assert (greys[4, 3:25] == 15).all()
    assert (greys[3, 3:25] == 9).all()
    assert greys[6:].max() == 0
    # Out on the right, along the border, and back in below: nothing is drawn on the way.
    at(4, 40)
    at(20, 40)
    greys = pixels(explorer)
    assert (greys[4, 3:] == 15).all()
    assert greys[7:].max() == 0
    at(20, 10)
    greys = pixels(explorer)
    assert (greys[20, 10:] == 15).all()
    assert greys[7:18].max() == 0
    page.mouse.up()
    at(12, 12)
    assert pixels(explorer)[12, 12] == 0
    # With another button nothing is drawn.
    page.mouse.down(button="right")
    page.mouse.up(button="right")
    assert pixels(explorer)[12, 12] == 0


@pytest.mark.parametrize("start", ["Clear", "Invert", "Noise"])
def test_a_drawing_comes_back_the_same(start, show, page):
    explorer = show("lenet")
    explorer.get_by_role("button", name=start).click()
    pad = pad_of(explorer)
    box = pad.bounding_box()
    page.mouse.move(box["x"] + 60, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 160, box["y"] + 90, steps=3)
    page.mouse.up()
    pad.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    drawn, greys = percents(explorer), pixels(explorer)
    assert greys[15, 14] == 15
    again = show("lenet", query_of(explorer))
    assert percents(again) == drawn
    assert (pixels(again) == greys).all()


def test_an_empty_pad_has_no_answer(show, page):
    explorer = show("lenet")
    explorer.get_by_role("button", name="Clear").click()
    said = explorer.get_by_role("status")
    assert said.inner_text() == "Nothing is drawn."
    assert percents(explorer) == ["–"] * 10
    assert explorer.locator(".bars .marks").all_inner_texts() == [""] * 10
    pad_of(explorer).focus()
    page.keyboard.press("Space")
    assert "The network says" in said.inner_text()
    assert all(text.endswith(" %") for text in percents(explorer))


def test_label_and_answer_are_told_among_the_bars(show):
    explorer = show("lenet")
    for number in (1, 7, 19, 30):
        radio = explorer.get_by_label(re.compile(f", picture {number}$"))
        label = radio.get_attribute("aria-label").partition(", picture")[0]
        radio.check(force=True)
        rows = explorer.locator(".bars tr").all_inner_texts()
        values = [float(text[:-2]) for text in percents(explorer)]
        assert [row.startswith(label) for row in rows] == ["label" in row for row in rows]
        (answer,) = (k for k, row in enumerate(rows) if "answer" in row)
        assert values[answer] == max(values)
    explorer.get_by_role("button", name="Noise").click()
    assert "label" not in " ".join(explorer.locator(".bars tr").all_inner_texts())


def test_forced_colours_keep_bars_and_choices(chromium, address):
    context = chromium.new_context(forced_colors="active")
    page = context.new_page()
    page.goto(f"{address}lenet.html#explore-lenet")
    explorer = page.locator("cnn-lenet")
    explorer.locator(".explorer").wait_for()
    colours = explorer.evaluate(
        """host => {
          const style = (selector) => getComputedStyle(host.shadowRoot.querySelector(selector));
          const probe = document.createElement("p");
          probe.style.cssText = "forced-color-adjust: none; color: Highlight";
          host.shadowRoot.append(probe);
          return { highlight: getComputedStyle(probe).color,
            bar: style(".bars tr.best span").backgroundColor,
            chosen: style(".thumbnails label:has(:checked)").borderTopColor,
            other: style(".thumbnails label:not(:has(:checked))").borderTopColor };
        }"""
    )
    context.close()
    assert colours["bar"] == colours["chosen"] == colours["highlight"] != colours["other"]


# What a number was computed from


def networks():
    """Of all kinds that `save_network` writes, with numbers that differ from each other."""
    layers = keras.layers
    chains = {
        "LeNet": [*LeNet(activation="relu", pooling="max").layers],
        "overlapping": [
            Conv2D(3, (5, 4), padding=((2, 1), (0, 3)), strides=(2, 3), activation="tanh"),
            MaxPooling2D(3, strides=2, padding=1),
            Conv2D(4, 3, padding="same", use_bias=False),
            layers.Activation("sigmoid"),
            AveragePooling2D(3, strides=1, padding="same"),
            layers.Flatten(),
            layers.Dense(7, activation="relu"),
            layers.Dense(10),
        ],
        "many": [
            Conv2D(32, 3, strides=3, activation="relu"),
            Conv2D(33, 1),
            MaxPooling2D(2, strides=3),
            Conv2D(5, 3, activation="sigmoid"),
            layers.Flatten(),
            layers.Dense(10),
        ],
        "dense": [layers.Flatten(), layers.Dense(64, activation="tanh"), layers.Dense(10)],
        "activation": [
            layers.Activation("sigmoid"),
            layers.AveragePooling2D(4),
            layers.Activation("relu"),
            Conv2D(10, 7),
            layers.Flatten(),
        ],
    }
    rng = np.random.default_rng(3)
    for name, chain in chains.items():
        model = keras.Sequential([keras.Input((28, 28, 1)), *chain])
        for weight in model.weights:
            fan = max(1, np.prod(weight.shape[:-1]))
            weight.assign(rng.normal(0.05, 1.2, weight.shape) / np.sqrt(fan))
        yield name, model


def computed(layers, image):
    """What the first layers make of an image; pooling may be padded with numbers."""
    pools = {"max": MaxPooling2D, "avg": AveragePooling2D}
    for layer in layers:
        if layer["kind"] == "pool":
            pool = pools[layer["mode"]](layer["pool_size"], layer["strides"], layer["padding"])
            image = np.asarray(pool(image))
        else:
            image = forward([layer], image)
    return image[0]


def steps_of(layers):
    """How many entries of a file make each layer of the explorer, activations included."""
    ends = []
    for end, layer in enumerate(layers, 1):
        activation = layer["kind"] in ("relu", "sigmoid", "tanh")
        if layer["kind"] == "flatten":
            continue
        if activation and ends:
            ends[-1] = end
        else:
            ends.append(end)
    return ends


def places_of(shape, rng):
    """The corners of a result, and places within it, as channel, row, column."""
    h, w, c = shape if len(shape) == 3 else (1, 1, *shape)
    inside = [tuple(int(rng.integers(n)) for n in (c, h, w)) for _ in range(2)]
    return {(0, 0, 0), (c - 1, h - 1, w - 1), *inside}


NUMBER = r"−?[\d.]+(?:e−?\d+)?"


def read_number(text):
    return float(text.replace("−", "-"))


def check_sum(text):
    """A sum that is written out adds up, or its sign says that it is rounded."""
    left, sign, right = re.match(rf"(.*?) ([=≈]) ({NUMBER})", text).groups()
    terms = re.findall(rf"(?:^|[+−] )?{NUMBER}", re.sub(r"\([^)]*\)", "", left))
    values = [read_number(term.replace("+ ", "").replace("− ", "-")) for term in terms]
    assert len(values) == left.count(" + ") + left.count(" − ") + 1
    total = read_number(right)
    decimals = max(len(term.partition(".")[2]) for term in [*terms, right])
    error = abs(sum(values) - total)
    assert error <= (len(values) + 1) * 0.5001 * 10**-decimals
    assert (sign == "=") == (error < 1e-9 * max(1, abs(total)))
    return values, total


@pytest.mark.parametrize("name", ["LeNet", "overlapping", "many", "dense", "activation"])
def test_opened_numbers_are_those_of_keras(name, show, page, tmp_path):
    model = dict(networks())[name]
    layers = saved(model, tmp_path)["layers"]
    explorer = show("lenet", "lenet.picture=test-4")
    explorer.get_by_label("Your network").set_input_files(tmp_path / "mine.json")
    explorer.get_by_text("your network, “mine.json”").wait_for()
    filters = sum(len(unpack(it["bias"])) for it in layers if it["kind"] == "conv")
    assert explorer.locator(".maps canvas.kernel").count() == filters

    pictures = unpack(explorer.evaluate("host => host.data.pictures"))
    image = (pictures[4] / 255).astype("float32")[None, ..., None]
    rng = np.random.default_rng(0)
    ends = steps_of(layers)
    for step, (begin, end) in enumerate(zip([0, *ends], ends, strict=False), 1):
        X, Y = computed(layers[:begin], image), computed(layers[:end], image)
        own = [it for it in layers[begin:end] if it["kind"] != "flatten"]
        sums = computed(layers[: layers.index(own[0]) + 1], image)
        for place in sorted(places_of(Y.shape, rng)):
            explorer.evaluate("(host, open) => host.change({ open })", [step, *place])
            _check_opened(explorer, place, own[0], X, sums, Y)


def _check_opened(explorer, place, layer, X, sums, Y):
    """The panel says what the layer makes of X at a place: the sum, and after activation Y."""
    channel, *pixel = place
    at = (*pixel, channel) if Y.ndim == 3 else channel
    title, written, *_ = explorer.locator(".opened .words p").all_inner_texts()
    shown = read_number(re.search(rf"({NUMBER})$", title)[1])
    assert math.isclose(shown, Y[at], rel_tol=2e-3, abs_tol=2e-4), (place, title)
    if layer["kind"] == "pool":
        assert written.startswith({"max": "maximum of ", "avg": "mean of "}[layer["mode"]])
    if "kernel" not in layer:
        return
    parts, total = check_sum(written)
    assert math.isclose(total, sums[at], rel_tol=2e-3, abs_tol=1e-2), (place, written)
    assert math.isclose(parts[-1], unpack(layer["bias"])[channel], abs_tol=1e-2)
    shown = explorer.locator(".source .slice span").all_inner_texts()
    if X.ndim == 3 and X.shape[0] > 1:
        assert len(shown) == X.shape[2]
    if len(shown) > 1:
        assert [read_number(text) for text in shown] == parts[:-1]


def test_what_a_pixel_feeds_is_framed(page, address, rng):
    page.goto(f"{address}lenet.html")
    cases = []
    for _ in range(40):
        k, s = rng.integers(1, 6, 2).tolist(), rng.integers(1, 4, 2).tolist()
        padding = rng.integers(0, 4, (2, 2)).tolist()
        conv = {"kind": "conv", "strides": s, "padding": padding, "bias": array(1)}
        pixel = rng.integers(0, 28, 2).tolist()
        cases.append([conv | {"kernel": array(*k, 1, 1)}, pixel])
    found = page.evaluate(
        """async ([address, cases]) => {
          const { network, fed } = await import(address + "network.js");
          return cases.map(([conv, pixel]) => {
            const layers = [conv, {kind: "flatten"}];
            // The number of outputs is not the matter here.
            const size = (n, axis) => Math.floor((28 + conv.padding[axis][0]
              + conv.padding[axis][1] - conv.kernel.shape[axis]) / conv.strides[axis]) + 1;
            const [layer] = network({ layers }, size(28, 0) * size(28, 1));
            return [layer.shape, fed(layer, ...pixel)];
          });
        }""",
        [f"{address}_static/javascript/", cases],
    )
    for (conv, (i, j)), (shape, frame) in zip(cases, found, strict=True):
        image = np.zeros((1, 28, 28, 1), "float32")
        image[0, i, j] = 1
        reached = forward([conv | {"bias": array(1, fill=0)}], image)[0] != 0
        framed = np.zeros(shape, bool)
        top, left = frame["top"], frame["left"]
        framed[top : top + frame["height"], left : left + frame["width"]] = True
        assert (framed == reached).all()


def test_the_numbers_of_a_window_are_written_out(show, page, site):
    page_data = json.loads((site / "_static/explorer-lenet-lenet.json").read_text("utf-8"))
    layers = page_data["network"]["layers"]
    image = (unpack(page_data["pictures"])[0] / 255).astype("float32")[None, ..., None]
    explorer = show("lenet", "lenet.open=3,4,6,3&lenet.from=1")
    X = forward(layers[:3], image)[0]
    kernel = unpack(layers[3]["kernel"])
    window, weights = X[6:11, 3:8, 1], kernel[:, :, 1, 4]
    assert np.allclose(numbers(explorer, "window of map 2"), window, rtol=1e-2, atol=6e-3)
    assert np.allclose(numbers(explorer, "kernel of map 2"), weights, atol=6e-3)
    assert np.allclose(numbers(explorer, "products"), window * weights, atol=6e-3)
    part = explorer.get_by_text("add up to").inner_text()
    shown = read_number(re.search(rf"({NUMBER})\.$", part)[1])
    assert math.isclose(shown, (window * weights).sum(), abs_tol=2e-3)
    # Another map's, by its kernel; then the pixel that is tapped, of the map before.
    explorer.get_by_role("button", name=re.compile("^kernel for pool1, map 4")).click()
    weights = kernel[:, :, 3, 4]
    assert np.allclose(numbers(explorer, "kernel of map 4"), weights, atol=6e-3)
    explorer.get_by_role("table", name="window of map 4").locator("button").nth(7).click()
    title = explorer.locator(".opened").get_by_role("status")
    assert title.inner_text().startswith("pool1, map 4, row 8, column 6: ")
    table = numbers(explorer, "window")
    before = forward(layers[:2], image)[0][14:16, 10:12, 3]
    assert np.allclose(table, before, rtol=1e-2, atol=6e-3)


def test_the_window_that_adds_most_is_written_out_first(show, page):
    explorer = show("lenet", "lenet.open=3,4,5,5")
    buttons = explorer.get_by_role("button", name=re.compile("^kernel for pool1"))
    labels = buttons.evaluate_all("all => all.map((it) => it.ariaLabel)")
    sums = [abs(read_number(re.search(rf"({NUMBER})$", it)[1])) for it in labels]
    most = sums.index(max(sums)) + 1
    pressed = explorer.get_by_role("button", name=re.compile("^kernel for"), pressed=True)
    assert pressed.get_attribute("aria-label").startswith(f"kernel for pool1, map {most},")
    assert np.any(numbers(explorer, f"window of map {most}"))
    # Who has chosen another keeps it within the layer, and not in the next.
    buttons.nth(most % len(sums)).click()
    assert explorer.evaluate("host => host.state.from") == most % len(sums)
    explorer.get_by_role("application", name=re.compile("the arrow keys move")).press("ArrowRight")
    assert opened(explorer) == [3, 4, 5, 6]
    assert explorer.evaluate("host => host.state.from") == most % len(sums)
    explorer.get_by_role("table", name=re.compile("^window")).locator("button").nth(7).click()
    assert opened(explorer)[0] == 2
    assert explorer.evaluate("host => host.state.from ?? null") is None


def opened(explorer):
    return explorer.evaluate("host => host.state.open ?? null")


def test_the_way_back_and_on_by_pointer(show, page):
    page.emulate_media(reduced_motion="reduce")
    explorer = show("lenet")
    panel = explorer.get_by_role("region", name="The opened pixel")
    assert not panel.is_visible()
    explorer.get_by_role("button", name=re.compile("^conv2, map 5 of 16")).click(
        position={"x": 27, "y": 33}
    )
    step, channel, row, column = opened(explorer)
    assert (step, channel, row, column) == (3, 4, 5, 4)
    # Back to the picture, through the maps of the panel.
    panel.get_by_role("button", name=re.compile("^pool1, map 2")).first.click()
    assert opened(explorer)[:2] == [2, 1]
    panel.get_by_role("button", name=re.compile("^conv1, map 2")).first.click()
    assert opened(explorer)[:2] == [1, 1]
    panel.get_by_role("button", name="picture", exact=True).click()
    assert opened(explorer)[:2] == [0, 0]
    # And on to a class.
    panel.get_by_role("button", name=re.compile("^conv1, map 3")).click()
    assert opened(explorer)[:2] == [1, 2]
    panel.get_by_role("button", name=re.compile("^map 3, row")).click()
    assert opened(explorer)[:2] == [2, 2]
    panel.get_by_role("button", name=re.compile("^conv2, map 16")).click()
    panel.get_by_role("button", name=re.compile("^map 16, row")).first.click()
    panel.get_by_role("button", name=re.compile("^unit")).last.click()
    assert opened(explorer)[0] == 5
    panel.get_by_role("button", name=re.compile("^unit")).last.click()
    panel.get_by_role("button", name=re.compile("^Ankle boot|^Shirt|^Bag|^Coat")).first.click()
    assert opened(explorer)[0] == 7
    assert "with softmax" in panel.inner_text()
    # A class, from the bars; the pixel, in the panel's map.
    explorer.locator(".bars tr").nth(8).click()
    assert opened(explorer) == [7, 8, 0, 0]
    canvas = panel.get_by_role("application")
    width = canvas.bounding_box()["width"]
    canvas.click(position={"x": 0.35 * width, "y": 5})
    assert opened(explorer) == [7, 3, 0, 0]
    # The link leads there again, and Reset closes.
    query = query_of(explorer)
    assert "lenet.open=7,3,0,0" in query
    text = panel.inner_text()
    again = show("lenet", query)
    assert again.get_by_role("region", name="The opened pixel").inner_text() == text
    again.get_by_role("button", name="Reset").click()
    assert not again.get_by_role("region", name="The opened pixel").is_visible()
    assert query_of(again) == ""
    page.emulate_media(reduced_motion="no-preference")


def test_the_way_back_and_on_by_keyboard(show, page):
    explorer = show("lenet")
    explorer.get_by_role("button", name=re.compile("^conv2, map 1 of 16")).focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    step, channel, row, column = opened(explorer)
    assert (step, channel) == (3, 1)
    # The keys are in the panel now.
    page.keyboard.press("ArrowUp" if row else "ArrowDown")
    page.keyboard.press("ArrowLeft" if column else "ArrowRight")
    assert opened(explorer) == [3, 1, row - 1 if row else 1, column - 1 if column else 1]
    page.keyboard.press("+")
    assert opened(explorer)[1] == 2
    page.keyboard.press("-")
    page.keyboard.press("-")
    page.keyboard.press("-")
    assert opened(explorer)[1] == 15
    title = explorer.locator(".opened").get_by_role("status")
    assert title.inner_text().startswith("conv2, map 16, row")
    # Tab, past the button that closes, to the maps that it was computed from.
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")  # to the kernel of the first
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert opened(explorer)[:2] == [2, 1]
    for key in ("Tab", "Tab", "Enter"):
        page.keyboard.press(key)
    assert opened(explorer)[:2] == [1, 1]
    page.keyboard.press("Escape")
    assert opened(explorer) is None
    active = "host => host.shadowRoot.activeElement.ariaLabel"
    assert explorer.evaluate(active).startswith("conv1, map 2 of 6")


@pytest.mark.parametrize("place", ["8,0,0,0", "3,16,0,0", "3,0,10,0", "1,0,0,28", "a,b,c,d", "1,2"])
def test_what_this_network_lacks_is_not_opened(place, show):
    explorer = show("lenet", f"lenet.open={place}")
    assert opened(explorer) is None
    assert not explorer.locator(".opened").is_visible()


@pytest.mark.parametrize("place", ["0,0,3,4", "1,2,0,27", "2,5,6,6", "4,15,4,4", "5,119,0,0"])
def test_an_opened_pixel_fits_a_phone_and_has_names(place, chromium, address):
    context = chromium.new_context(viewport={"width": 360, "height": 740})
    page = context.new_page()
    page.goto(f"{address}lenet.html?lenet.open={place}#explore-lenet")
    explorer = page.locator("cnn-lenet")
    explorer.locator(".opened").wait_for()
    wide = explorer.evaluate(
        """host => [...host.shadowRoot.querySelectorAll(".opened *")].filter(it =>
          it.checkVisibility() && !it.closest("svg") && !it.closest(".hidden")
          && it.getBoundingClientRect().right > host.getBoundingClientRect().right + 1)
          .map(it => it.outerHTML.slice(0, 80))"""
    )
    unnamed = explorer.evaluate(
        """host => [...host.shadowRoot.querySelectorAll("button, canvas, [tabindex]")]
          .filter(it => it.checkVisibility() && !it.ariaLabel && !it.textContent.trim()
            && it.ariaHidden !== "true" && !it.labels?.length).map(it => it.outerHTML)"""
    )
    context.close()
    assert wide == []
    assert unnamed == []


@pytest.mark.parametrize(
    "change", ["{open: [3, i % 16, i % 10, 3]}", "{picture: `noise-${i}`}", "{open: [5, i, 0, 0]}"]
)
def test_an_opened_pixel_answers_within_a_frame(change, show):
    explorer = show("lenet", "lenet.open=3,4,4,3")
    times = explorer.evaluate(
        """host => Array.from({length: 60}, (_, i) => {
          const start = performance.now();
          host.change(CHANGE);
          host.getBoundingClientRect();
          return performance.now() - start;
        })""".replace("CHANGE", change)
    )
    calm = min(np.median(times[first : first + 10]) for first in range(0, 60, 10))
    assert calm <= 30, times


# Files that are no network


def test_a_mean_that_counts_padding_is_refused(tmp_path):
    pool = AveragePooling2D(3, padding=1, count_include_pad=True, name="counts")
    chain = [keras.Input((28, 28, 1)), pool, keras.layers.Flatten(), keras.layers.Dense(10)]
    with pytest.raises(ValueError, match=r"which a mean does not count. Received: 'counts'"):
        save_network(keras.Sequential(chain), tmp_path / "mine.json")


def small():
    """A network as a file holds it."""
    rng = np.random.default_rng(0)

    def packed(*shape):
        return pack(rng.normal(size=shape).astype("float32"))

    conv = {"kind": "conv", "name": "first", "kernel": packed(3, 3, 1, 2), "bias": packed(2)}
    pool = {"kind": "pool", "name": "pool", "mode": "max", "pool_size": [2, 2]}
    dense = {"kind": "dense", "name": "last", "kernel": packed(338, 10), "bias": packed(10)}
    return {
        "layers": [
            conv | {"strides": [1, 1], "padding": "valid"},
            {"kind": "relu", "name": "first"},
            pool | {"strides": [2, 2], "padding": "valid"},
            {"kind": "flatten", "name": "flatten"},
            dense,
        ]
    }


def changed(layer, key, value):
    """The small network with something else in it; without it, where the value is None."""
    file = small()
    file["layers"][layer][key] = value
    if value is None:
        del file["layers"][layer][key]
    return file


def weights(layer, key, **other):
    file = small()
    file["layers"][layer][key] |= other
    return file


def array(*shape, fill=1.0, dtype="float32"):
    return pack(np.full(shape, fill, dtype))


def loud():
    """A network whose numbers overflow: finite weights, each layer 1e38 times the one before."""
    file = small()
    extra = {"kind": "dense", "kernel": array(10, 10, fill=1e38), "bias": array(10)}
    file["layers"] += [{**extra, "name": f"loud{i}"} for i in range(12)]
    return file


BAD_FILES = {
    "not JSON": ("layers:", "is no JSON file"),
    "null": (None, r'expected a network|Expected a network, \{"layers"'),
    "a list": ([1, 2], r"Received: \[1,2\]"),
    "a number": (5, "Received: 5"),
    "no layers": ({"layers": []}, r'Received: \{"layers":\[\]\}'),
    "layers of another kind": ({"layers": "conv"}, "Expected a network"),
    "no layer": ({"layers": [7]}, "Layer 1: expected kind to be one of .*conv, dense.*Received: 7"),
    "an unknown kind": (
        changed(2, "kind", "lstm"),
        r"Layer 3 \(“pool”\): expected kind.*Received: \"lstm\"",
    ),
    "a kind of objects": (changed(1, "kind", "toString"), 'Received: "toString"'),
    "no kernel": (
        changed(0, "kernel", None),
        r"Layer 1 \(“first”\): expected a kernel of shape \(h, w, 1, filters\). Received: nothing",
    ),
    "no bias": (changed(4, "bias", None), r"“last”.*a bias of shape \(10,\). Received: nothing"),
    "a kernel of numbers": (changed(0, "kernel", [[1]]), "a kernel of dtype"),
    "another dtype": (
        changed(0, "kernel", array(3, 3, 1, 2, dtype="float64")),
        r'a kernel of dtype "float32". Received: "float64"',
    ),
    "8-bit weights": (changed(4, "bias", array(10, dtype="uint8")), 'Received: "uint8"'),
    "another rank": (
        changed(0, "kernel", array(3, 3, 2)),
        r"shape \(h, w, 1, filters\). Received: shape \[3,3,2\]",
    ),
    "a bias of another length": (
        changed(0, "bias", array(3)),
        r"a bias of shape \(2,\). Received: shape \[3\]",
    ),
    "a shape that is none": (weights(0, "kernel", shape="3331"), 'Received: shape "3331"'),
    "a size that is no integer": (weights(0, "kernel", shape=[1.5, 3, 1, 2]), "shape \\[1.5"),
    "no size at all": (weights(0, "kernel", shape=[0, 3, 1, 2]), r"shape \[0,3,1,2\]"),
    "too few bytes": (
        weights(4, "bias", base64=array(9)["base64"]),
        "a bias of 40 bytes in base64.*Received: 36 bytes",
    ),
    "half a number": (weights(4, "bias", base64="AAAA"), "40 bytes in base64.*Received: 3 bytes"),
    "bad base64": (weights(0, "kernel", base64="%%%"), 'base64.*Received: "%%%"'),
    "no base64": (weights(0, "kernel", base64=[1]), r"base64.*Received: \[1\]"),
    "NaN": (
        changed(0, "kernel", array(3, 3, 1, 2, fill=np.nan)),
        "“first”.*a kernel of finite numbers. Received: NaN",
    ),
    "infinity": (
        changed(4, "bias", array(10, fill=-np.inf)),
        "“last”.*a bias of finite numbers. Received: -Infinity",
    ),
    "strides of 0": (
        changed(0, "strides", [0, 1]),
        r"strides to be two positive integers. Received: \[0,1\]",
    ),
    "strides of 1.5": (changed(0, "strides", [1.5, 1]), r"strides.*Received: \[1.5,1\]"),
    "no strides": (changed(2, "strides", None), "“pool”.*strides.*Received: nothing"),
    "a negative window": (changed(2, "pool_size", [-2, 2]), r"pool_size.*Received: \[-2,2\]"),
    "a window in words": (changed(2, "pool_size", "2"), 'pool_size.*Received: "2"'),
    "three sizes": (changed(2, "pool_size", [2, 2, 2]), r"pool_size.*Received: \[2,2,2\]"),
    "padding in other words": (
        changed(0, "padding", "full"),
        r'padding "valid", "same", a number.*Received: "full"',
    ),
    "negative padding": (changed(0, "padding", -1), "padding.*Received: -1"),
    "half a padding": (changed(0, "padding", [[1, 1], [1]]), r"padding.*\[\[1,1\],\[1\]\]"),
    "no padding given": (changed(0, "padding", None), "padding.*Received: nothing"),
    "endless padding": (changed(0, "padding", 1e9), "padding.*up to 64. Received: 1000000000"),
    "padding beyond the window": (
        changed(2, "padding", [2, 2]),
        r"padding smaller than the window, 2 × 2. Received: \[2,2\]",
    ),
    "another mode": (changed(2, "mode", "median"), 'mode "max" or "avg". Received: "median"'),
    "channels that do not chain": (
        changed(0, "kernel", array(3, 3, 3, 2)),
        r"shape \(h, w, 1, filters\). Received: shape \[3,3,3,2\]",
    ),
    "units that do not chain": (
        changed(4, "kernel", array(300, 10)),
        r"“last”.*a kernel of shape \(338, units\). Received: shape \[300,10\]",
    ),
    "dense before flatten": (changed(3, "kind", "relu"), "“last”.*flatten before the first dense"),
    "convolution behind flatten": (
        {"layers": [{"kind": "flatten", "name": "flat"}, *small()["layers"]]},
        r"Layer 2 \(“first”\): expected dense layers or activations behind flatten",
    ),
    "a window that does not fit": (
        changed(2, "pool_size", [27, 27]),
        "“pool”.*a window that fits 26 × 26. Received: 27 × 27",
    ),
    "nine classes": (
        {
            "layers": [
                *small()["layers"][:4],
                small()["layers"][4] | {"kernel": array(338, 9), "bias": array(9)},
            ]
        },
        "“last”.*10 outputs at the end, one for each class. Received: 9",
    ),
    "no classes": ({"layers": small()["layers"][:2]}, "10 outputs at the end.*Received: 1352"),
    "nothing but flatten": ({"layers": [{"kind": "flatten"}]}, "10 outputs.*Received: 784"),
    "nothing finite": (loud(), "Layer “loud.*finite. Received: (-?Infinity|NaN)"),
}


@pytest.fixture(scope="module")
def offer(context, address):
    """The message that a file gets from the explorer, on one page for all of them."""
    page = context.new_page()
    problems = listen(page)
    page.goto(f"{address}lenet.html#explore-lenet")
    explorer = page.locator("cnn-lenet")
    explorer.locator(".explorer").wait_for()
    before = percents(explorer)
    choose = explorer.get_by_label("Your network")
    alert = explorer.locator(".explorer > [role=alert]")

    def offer(text):
        explorer.evaluate("host => host.change({})")  # clears what was said before
        file = {"name": "mine.json", "mimeType": "application/json", "buffer": text.encode()}
        choose.set_input_files(file)
        alert.filter(has_text=re.compile(".")).wait_for()
        assert percents(explorer) == before  # the network stays
        assert explorer.get_by_text("You look into the network that was trained").is_visible()
        return alert.inner_text()

    yield offer
    assert problems == []
    page.close()


@pytest.mark.parametrize("what", BAD_FILES)
def test_a_file_that_is_no_network_is_refused(what, offer):
    content, message = BAD_FILES[what]
    said = offer(content if what == "not JSON" else json.dumps(content))
    assert re.search(message, said), said
    assert said.endswith("rite one with cnn_tf.save_network(model, path).") or said.endswith(
        "Write the file with cnn_tf.save_network(model, path)."
    )


def test_numbers_that_overflow_have_no_answer(show, page, site, tmp_path):
    page_data = json.loads((site / "_static/explorer-lenet-lenet.json").read_text("utf-8"))
    total = (unpack(page_data["pictures"])[0] / 255).sum()
    assert total < 400  # a white picture's is 784
    first = {"kind": "dense", "name": "first", "kernel": array(784, 10, fill=1.2e35 / total)}
    loud = {"kind": "dense", "name": "loud", "kernel": array(10, 10, fill=1e38)}
    layers = [{"kind": "flatten"}, first, *[loud] * 7]  # 1.2e308 for the first picture
    bias = {"bias": array(10, fill=0)}
    file = {"layers": [it if it["kind"] == "flatten" else it | bias for it in layers]}
    (tmp_path / "loud.json").write_text(json.dumps(file))
    explorer = show("lenet")
    explorer.get_by_label("Your network").set_input_files(tmp_path / "loud.json")
    explorer.get_by_text("“loud.json”").wait_for()
    assert percents(explorer) == ["10.0 %"] * 10
    white = {"picture": f"drawn-{'f' * 784}", "open": [8, 1, 0, 0]}
    explorer.evaluate("(host, white) => host.change(white)", white)
    assert percents(explorer) == ["–"] * 10
    assert explorer.get_by_text("too large for this picture").is_visible()
    assert "NaN" not in explorer.locator(".explorer").inner_text()


# --- Training -------------------------------------------------------------------------------------

LISTEN_TO_WORKERS = """
  window.told = [];
  const Real = Worker;
  window.Worker = class extends Real {
    constructor(...given) {
      super(...given);
      this.addEventListener("message", ({ data }) =>
        data.losses && told.push([data.id, data.step, [...data.losses]]));
    }
  };
"""


@functools.cache
def few(train=320, validation=64):
    """A data set that is measured in a moment."""
    whole = FashionMNIST()
    return SimpleNamespace(
        class_names=whole.class_names,
        train=whole.train._replace(
            images=whole.train.images[:train], labels=whole.train.labels[:train]
        ),
        validation=whole.validation._replace(
            images=whole.validation.images[:validation], labels=whole.validation.labels[:validation]
        ),
    )


@functools.cache
def few_packed():
    return explore("training", data=few()).archive


@pytest.fixture
def show_few(show, page):
    """Open the explorer with few pictures in place of those of the site."""

    def show_few(query="", corrupt=0, **options):
        content = few_packed()
        spoilt = [content[:-9] + b"\0" + content[-8:]] * corrupt

        def answer(route):
            body = spoilt.pop() if spoilt else content
            route.fulfill(body=body, content_type="application/octet-stream")

        page.add_init_script(LISTEN_TO_WORKERS)
        page.route(re.compile(r"explorer-lenet-training\.bin"), answer)
        explorer = show("training", query, **options)
        digest = b64encode(hashlib.sha256(content).digest()).decode()
        explorer.evaluate("(host, it) => host.setAttribute('integrity', it)", f"sha256-{digest}")
        return explorer

    return show_few


def press(explorer, name):
    explorer.get_by_role("button", name=name, exact=True).click()


def steps(explorer, row=0):
    return int(explorer.locator(".runs tbody tr").nth(row).locator("td").first.inner_text())


def wait_for_step(explorer, least, row=0, timeout=60):
    end = time.monotonic() + timeout
    explorer.locator(".runs tbody tr").nth(row).wait_for()
    while steps(explorer, row) < least:
        assert time.monotonic() < end, steps(explorer, row)
        explorer.page.wait_for_timeout(30)


def alert_of(explorer):
    return explorer.locator(".explorer > [role=alert]")


def take_step(explorer):
    before = steps(explorer) if explorer.locator(".runs tbody tr").count() else 0
    press(explorer, "Step")
    wait_for_step(explorer, before + 1)


def test_pictures_come_from_the_site_when_they_are_asked_for(show, page, address):
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    explorer = show("training", whole=True)
    assert re.search(r"fetches \d.\d MB of pictures", explorer.get_by_role("status").inner_text())
    page.wait_for_timeout(300)
    assert not [url for url in asked if ".bin" in url]
    take_step(explorer)
    take_step(explorer)
    assert explorer.get_by_role("status").inner_text().startswith("Step 2: loss ")
    assert len([url for url in asked if ".bin" in url]) == 1
    assert all(url.startswith((address, "data:", f"blob:{address[:10]}")) for url in asked), asked
    assert explorer.get_by_role("group", name=re.compile("A picture of")).get_by_role(
        "radio"
    ).count() in range(5, 11)


def test_pauses_change_nothing(show_few, page):
    explorer = show_few("training.batch=8&training.activation=relu")
    curves = []
    for pauses in (True, False):
        if not pauses:
            press(explorer, "Start again")
        press(explorer, "Train")
        for least in (3, 6) if pauses else ():
            wait_for_step(explorer, least)
            press(explorer, "Pause")
            press(explorer, "Train")
        wait_for_step(explorer, 50)
        press(explorer, "Pause")
        take_step(explorer)
        told = page.evaluate("told")
        newest, step, _ = told[-1]
        curves.append([loss for run, _, losses in told if run == newest for loss in losses])
        assert len(curves[-1]) == step
    one, other = curves
    assert one[:50] == other[:50]
    assert len(set(one)) > 40


def test_presets_and_the_address(show_few, page):
    explorer = show_few()
    recipe = explorer.get_by_role("combobox", name="recipe", exact=True)
    assert recipe.input_value() == "classic, batch 32"
    for name in ("weights × 4", "ReLU, He, max, norm, Adam, cosine", "classic"):
        recipe.select_option(name)
        state = explorer.evaluate("host => host.state")
        kept = {"seed": 0, "field": "pool2"}
        assert state == CHOICES["classic"] | CHOICES["presets"][name] | kept
    explorer.get_by_role("combobox", name="activation").select_option("tanh")
    assert recipe.input_value() == "tanh"
    explorer.get_by_label("seed", exact=True).fill("7")
    assert recipe.input_value() == "tanh"
    explorer.get_by_label("learning rate", exact=True).fill("0.25")
    assert recipe.input_value() == "own"
    query = query_of(explorer)
    for part in ("activation=tanh", "rate=0.25", "batch=128", "seed=7"):
        assert f"training.{part}" in query
    explorer = show_few(query)
    assert explorer.evaluate("host => [host.state.activation, host.state.rate]") == ["tanh", 0.25]
    press(explorer, "learning rate: more")
    assert explorer.evaluate("host => host.state.rate") == 0.3
    explorer = show_few("training.activation=gelu&training.rate=x&training.batch=1000")
    assert explorer.evaluate("host => [host.state.activation, host.state.rate]") == ["sigmoid", 0.1]
    assert explorer.evaluate("host => host.state.batch") == 256


def test_six_runs_stand_side_by_side_and_a_seventh_is_refused(show_few):
    explorer = show_few("training.batch=4")
    seed = explorer.get_by_label("seed", exact=True)
    for number in range(6):
        seed.fill(str(number))
        press(explorer, "Step")
        wait_for_step(explorer, 1, row=number)
    looks = explorer.locator(".runs .sample line").evaluate_all(
        "all => all.map(it => it.getAttribute('stroke-dasharray'))"
    )
    assert len(set(looks)) == 6
    assert explorer.get_by_role("radio", name=re.compile("seed 5")).is_checked()
    seed.fill("6")
    press(explorer, "Train")
    alert_of(explorer).get_by_text("Remove one from the table").wait_for()
    assert explorer.locator(".runs tbody tr").count() == 6
    press(explorer, "Remove run 3")
    assert explorer.get_by_role("button", name="Train", exact=True).evaluate(
        "it => it.matches(':focus')"
    )
    press(explorer, "Step")
    explorer.get_by_role("radio", name="3: classic, batch 4, seed 6").wait_for()
    assert alert_of(explorer).inner_text() == ""
    # To choose a run sets what it was made with.
    explorer.get_by_role("radio", name="1: classic, batch 4", exact=True).check()
    assert seed.input_value() == "0"
    take_step(explorer)
    assert [steps(explorer, row) for row in range(6)] == [2, 1, 1, 1, 1, 1]
    press(explorer, "Reset")
    assert explorer.locator(".runs tbody tr").count() == 0


def test_a_trained_network_is_as_good_in_python(show, page, tmp_path):
    stack = "activation=relu weights=he normalisation=batch optimiser=adam rate=0.002 batch=16"
    explorer = show("training", "&".join(f"training.{it}" for it in stack.split()))
    start = time.monotonic()
    press(explorer, "Train")
    wait_for_step(explorer, 20)
    press(explorer, "Pause")
    page.wait_for_timeout(300)
    while steps(explorer) < 50:
        take_step(explorer)
    print(f"50 steps of 16 pictures, the last of them one by one: {time.monotonic() - start:.1f} s")
    page.wait_for_timeout(300)
    told = explorer.locator(".runs tbody td").nth(2).inner_text()
    with page.expect_download() as download:
        press(explorer, "Download the network")
    download.value.save_as(tmp_path / "mine.json")
    images, labels = (part[:2000] for part in FashionMNIST().validation)
    model = load_network(tmp_path / "mine.json")
    answers = model.predict(images, verbose=0).argmax(axis=1)
    assert abs(np.sum(answers == labels) - float(told[:-2]) / 100 * len(labels)) <= 3
    assert model.get_layer("conv1").kernel.shape == (5, 5, 1, 6)


def test_what_an_output_sees_is_that_of_the_network(show_few, page, tmp_path):
    explorer = show_few("training.batch=8&training.activation=tanh&training.field=conv1")
    take_step(explorer)
    take_step(explorer)
    with page.expect_download() as download:
        press(explorer, "Download the network")
    download.value.save_as(tmp_path / "mine.json")
    model = load_network(tmp_path / "mine.json")
    layers = [model.get_layer(name) for name in ("conv1", "pool1", "conv2", "pool2")]
    layer = explorer.get_by_role("combobox", name="What an output sees:")
    assert layer.input_value() == "conv1"
    for name in ("conv1", "conv2", "pool2"):
        layer.select_option(name)
        explorer.get_by_role("img", name=re.compile(f"output of {name} .*at step 2: ")).wait_for()
        told = explorer.get_by_text(f"An output of {name} sees").inner_text()
        side, _, pixels, first, last = map(float, re.findall(r"(?<= )\d[\d.]*", told)[:5])
        seen = 1 + layers.index(model.get_layer(name))
        window, share = inner_share(layers[:seen], few().validation.images)
        assert (side, pixels) == (window, window**2)
        assert abs(last - 100 * share) < 0.06  # it is rounded
        assert 10 < first < 100
        assert told.endswith("at step 2; if all pixels counted alike, it would be a quarter.")
        if name != "pool2":  # that of the start
            assert f"training.field={name}" in query_of(explorer)
    assert "field" not in query_of(explorer)


def inner_share(layers, images):
    """The side of what the middle output sees, and how much of the gradient is in its middle."""
    x = tf.constant(images)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = x
        for layer in layers:
            y = layer(y)
        place = y.shape[1] // 2
        outputs = tf.unstack(tf.reduce_sum(y[:, place, place], axis=0))
    field = sum(tf.abs(tape.gradient(it, x)).numpy().sum(axis=(0, 3)) for it in outputs)
    window, _ = receptive_field(layers).window(place, place)
    quarter = len(window) / 4
    start, end = window.start + quarter, window.stop - quarter
    inside = np.clip(np.minimum(np.arange(1, 29), end) - np.maximum(np.arange(28), start), 0, 1)
    return len(window), inside @ field @ inside / field.sum()


def test_a_network_is_opened_and_what_is_none_is_refused(show_few, page, tmp_path):
    data = few()
    model = LeNet(activation="tanh", pooling="max")
    saved(model, tmp_path)
    explorer = show_few()
    choose = explorer.get_by_label("Open a network")
    choose.set_input_files(tmp_path / "mine.json")
    explorer.get_by_role("radio", name=re.compile("“mine.json”")).wait_for()
    for name, word in (("activation", "tanh"), ("pooling", "max")):
        assert explorer.get_by_role("combobox", name=name).input_value() == word
    first = int(np.flatnonzero(data.validation.labels == 0)[0])
    expected = np.asarray(keras.ops.softmax(model(data.validation.images[first : first + 1])))[0]
    explorer.locator(".percent").first.get_by_text(f"{100 * expected[0]:.1f} %").wait_for()
    shown = [float(text[:-2]) / 100 for text in percents(explorer)]
    assert np.allclose(shown, expected, atol=6e-4)
    take_step(explorer)
    # What is no LeNet.
    flat = [keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(10)]
    save_network(keras.Sequential(flat), tmp_path / "flat.json")
    (tmp_path / "wrong.json").write_text("{")
    (tmp_path / "empty.json").write_text("{}")
    for name, message in {
        "wrong": "is no JSON file",
        "empty": "Expected a network",
        "flat": "Expected the layers of LeNet",
    }.items():
        choose.set_input_files(tmp_path / f"{name}.json")
        alert_of(explorer).get_by_text(message).wait_for()
    assert explorer.locator(".runs tbody tr").count() == 1


def test_a_damaged_archive_is_refused_and_fetched_again(show_few, page):
    explorer = show_few("training.batch=4", corrupt=1)
    press(explorer, "Train")
    alert_of(explorer).get_by_text("The pictures did not arrive").wait_for()
    assert page.problems
    page.problems.clear()
    assert explorer.locator(".runs tbody tr").count() == 0
    press(explorer, "Train")
    wait_for_step(explorer, 1)
    assert alert_of(explorer).inner_text() == ""
    press(explorer, "Pause")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        ("class { constructor() { throw Error('No workers here') } }", "(No workers here)"),
        ("class extends Worker { constructor(_, it) { super('404.js', it) } }", ""),
    ],
)
def test_a_browser_without_workers_is_told(spoil, message, show_few, page):
    explorer = show_few()
    page.evaluate(f"() => {{ window.Worker = {spoil}; }}")
    press(explorer, "Train")
    told = alert_of(explorer).get_by_text("The training cannot run in this browser")
    assert message in told.inner_text()
    page.problems.clear()  # the browser tells of the file that is missing
    assert explorer.get_by_role("button", name="Train", exact=True).is_visible()


def test_a_rate_that_is_too_large_ends_the_run(show_few):
    explorer = show_few(
        "training.activation=relu&training.weights=times_four&training.rate=1"
        "&training.optimiser=momentum&training.input=standardised"
    )
    press(explorer, "Train")
    alert_of(explorer).get_by_text("smaller learning rate").wait_for()
    assert explorer.get_by_role("button", name="Train", exact=True).is_visible()
    assert "NaN" not in explorer.locator(".explorer").inner_text()


def test_training_by_keyboard_is_told_and_has_no_barriers(show_few, page):
    explorer = show_few("training.batch=8&training.activation=relu")
    explorer.get_by_role("button", name="Train", exact=True).focus()
    page.keyboard.press("Enter")
    wait_for_step(explorer, 42)
    page.keyboard.press("Enter")
    assert explorer.get_by_role("button", name="Train", exact=True).evaluate(
        "it => it.matches(':focus')"
    )
    told = explorer.get_by_role("status").inner_text()
    assert re.match(r"Step \d+: loss \d\.\d{3}, [\d.]+ % right\.", told)
    labels = explorer.get_by_role("img").evaluate_all("all => all.map(it => it.ariaLabel)")
    assert any(re.match(r"loss: .*run 1 from [\d.]+ to [\d.]+ at step", it) for it in labels)
    assert any("conv1 from" in it and "logits from" in it for it in labels)
    assert barriers(page, "cnn-training") == []


def test_it_is_heard_every_five_seconds_at_most(show_few, page):
    explorer = show_few("training.batch=8&training.activation=tanh")
    explorer.get_by_role("status").evaluate(
        """it => { window.heard = []; new MutationObserver(() => heard.push(performance.now()))
          .observe(it, {childList: true, characterData: true, subtree: true}); }"""
    )
    press(explorer, "Train")
    wait_for_step(explorer, 40)  # the plateau, or its absence, is told at once
    page.wait_for_timeout(200)
    before = len(page.evaluate("heard"))
    page.wait_for_timeout(2000)
    assert len(page.evaluate("heard")) <= before + 1
    press(explorer, "Pause")


def test_it_trains_on_while_the_page_is_hidden(show_few, page):
    explorer = show_few("training.batch=4")
    take_step(explorer)
    # Of a hidden page, browsers draw no frame.
    page.evaluate(
        """() => { window.held = []; window.frame = requestAnimationFrame;
          window.requestAnimationFrame = (draw) => held.push(draw); }"""
    )
    press(explorer, "Train")
    page.wait_for_function("() => told.at(-1)[1] > 30")
    assert steps(explorer) <= 2
    page.evaluate("() => { window.requestAnimationFrame = frame; held.forEach(draw => draw()); }")
    wait_for_step(explorer, 31)
    press(explorer, "Pause")


def test_training_fits_a_phone(phone):
    explorer = phone.goto_explorer("training")
    explorer.evaluate("host => host.change({batch: 1})")
    press(explorer, "Step")
    wait_for_step(explorer, 1)
    explorer.get_by_role("img", name=re.compile("length of the gradient")).wait_for()
    phone.wait_for_timeout(300)
    assert phone.evaluate("document.documentElement.scrollWidth") == 360
    assert (
        explorer.evaluate("host => host.shadowRoot.querySelector('.explorer').scrollWidth") <= 360
    )


def test_training_is_quick_and_the_page_stays_free(show, page):
    explorer = show("training")
    page.evaluate(
        """() => { window.long = [];
          new PerformanceObserver((list) => long.push(...list.getEntries().map(it => it.duration)))
            .observe({type: "longtask"}); }"""
    )
    press(explorer, "Step")  # fetches the pictures
    wait_for_step(explorer, 1)
    page.evaluate("long.length = 0")
    start = time.monotonic()
    press(explorer, "Train")
    wait_for_step(explorer, 200)
    seconds = time.monotonic() - start
    press(explorer, "Pause")
    long = page.evaluate("long")
    print(f"200 steps of 32 pictures: {seconds:.1f} s; tasks above 50 ms: {long}")
    assert seconds < 60
    assert max(long, default=0) < 1000


def test_a_part_is_drawn_in_each_frame_and_axes_stay(show, page):
    explorer = show("training")
    press(explorer, "Step")
    wait_for_step(explorer, 1)
    # A button has all drawn at once: what is counted begins after that.
    press(explorer, "Train")
    explorer.get_by_role("button", name="Pause", exact=True).wait_for()
    # For each frame, how many of the parts were changed in it: two plots, three more, and a table.
    page.evaluate(
        """() => { window.parts = [];
          const root = document.querySelector("cnn-training").shadowRoot;
          const of = (node) => (node.parentElement ?? node).closest(".measures, .row, .runs");
          const count = (list) => parts.push(new Set(list.map(({target}) => of(target))).size);
          window.text = root.querySelector(".chart .axes text");
          const what = {subtree: true, attributes: true, childList: true, characterData: true};
          const observer = new MutationObserver(count);
          for (const it of root.querySelectorAll(".chart, .runs")) observer.observe(it, what); }"""
    )
    page.wait_for_function(
        """() => { const root = document.querySelector("cnn-training").shadowRoot;
          const lines = [...root.querySelectorAll(".chart polyline")];
          const grown = lines.some(it => it.getAttribute("points").split(" ").length > 30);
          return grown && parts.length > 12; }"""
    )
    assert max(page.evaluate("parts")) == 1
    assert page.evaluate("text.isConnected")


def test_curves_stay_short(page, address):
    page.goto(f"{address}index.html")
    kept = page.evaluate(
        """async (file) => {
          const { Curve, MeanCurve } = await import(file);
          const [curve, mean] = [new Curve(), new MeanCurve()];
          for (let n = 0; n < 100_000; n++) {
            curve.push(n, [n, -n]);
            mean.push(n);
          }
          return [curve.steps, ...curve.lines, mean.steps, mean.values];
        }""",
        f"{address}_static/javascript/curves.js",
    )
    steps_, up, down, middles, means = map(np.array, kept)
    assert all(100 < len(each) <= 400 for each in kept)
    assert (steps_ == up).all()
    assert (steps_ == -down).all()
    assert (up[0], up[-1]) == (0, 99_999)
    assert np.ptp(np.diff(up[:-1])) == 0  # the last is the newest
    assert (middles == means).all()
    assert np.ptp(np.diff(means)) == 0
    assert 100_000 - means[-1] < 2 * np.diff(means)[0]


def test_a_notebook_trains_without_any_file(page):
    page.set_content(explore("training", data=few(), activation="relu", batch=4)._repr_html_())
    explorer = page.locator("cnn-training")
    explorer.locator(".explorer").wait_for()
    take_step(explorer)
    take_step(explorer)
    assert page.url == "about:blank"
