"""The explorers on the pages, in a real browser: operated, and compared with Python's numbers."""

import gzip
import json
import math
import re
from pathlib import Path

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
    output_size,
    save_network,
)
from cnn_tf.explorers._figures import NAMED_KERNELS
from cnn_tf.functional import correlate
from cnn_tf.receptive_field import receptive_field
from tests.browser import listen, numbers, wake
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


@pytest.fixture
def show(page, address):
    """Open an explorer on its page, in the state that a query names."""

    def show(name, query=""):
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
    names = [name for name in PAGES if name != "lenet"]
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
}


@pytest.mark.parametrize("name", PAGES)
def test_it_answers_within_a_frame(name, show):
    explorer = show(name)
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
    page.keyboard.press("Tab")
    assert numbers(explorer, "K") == K.tolist()
    # The state comes back from its address.
    page.wait_for_timeout(300)
    query = page.url.partition("?")[2].partition("#")[0]
    assert "sliding-window.K=-1.5,1;0.5,3" in query
    again = show("sliding-window", query)
    assert numbers(again, "Y") == np.asarray(corr2d(X, K)).tolist()


def test_a_pixel_shows_the_outputs_that_use_it(show):
    explorer = show("sliding-window")
    explorer.get_by_label("X, row 2, column 2").hover()
    assert explorer.get_by_role("status").inner_text() == "Outputs that use this pixel: 4 of 4."
    explorer.get_by_label("X, row 1, column 3").focus()
    assert explorer.get_by_role("status").inner_text() == "Outputs that use this pixel: 1 of 4."


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
    stride = explorer.get_by_label("stride s").first
    stride.focus()
    page.keyboard.press("ArrowUp")
    assert stride.input_value() == "2"
    size = output_size((6, 6), 3, padding=1, strides=2)
    Y = numbers(explorer, "Y: how many pixels each output sees")
    assert (len(Y), len(Y[0])) == size
    explorer.get_by_role("combobox", name="padding").select_option("valid")
    Y = numbers(explorer, "Y: how many pixels each output sees")
    assert (len(Y), len(Y[0])) == output_size((6, 6), 3, padding="valid", strides=2)
    explorer.get_by_label("kernel k").first.fill("2.5")  # is no size
    Y = numbers(explorer, "Y: how many pixels each output sees")
    assert (len(Y), len(Y[0])) == output_size((6, 6), 3, padding="valid", strides=2)
    explorer.get_by_label("kernel k").first.fill("7")
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
    explorer.get_by_label("K, row 1, column 1").fill("-7")
    assert explorer.get_by_role("combobox", name="kernel").input_value() == "own"
    explorer.get_by_role("combobox", name="size").select_option("3")
    for name, kernel in NAMED_KERNELS.items():  # as the static figure has them
        explorer.get_by_role("combobox", name="kernel").select_option(label=name)
        assert np.allclose(numbers(explorer, "K"), kernel, atol=0.01)


def test_own_pictures_and_what_is_none(show, page, tmp_path):
    from skimage.io import imsave

    explorer = show("kernels")
    imsave(tmp_path / "grey.png", np.full((40, 60), 128, np.uint8), check_contrast=False)
    (tmp_path / "letter.txt").write_text("no picture")
    choose = explorer.locator("input[type=file]")
    choose.set_input_files(tmp_path / "letter.txt")
    explorer.get_by_role("alert").get_by_text("is no picture").wait_for()
    choose.set_input_files(tmp_path / "grey.png")
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
                int(explorer.get_by_label(f"{name} of layer {number}").input_value())
                for name in ("kernel size", "stride", "dilation")
            )
            layers.append(Conv2D(1, k, strides=s, dilation_rate=d))
            field = receptive_field(layers)
            shown = [int(text) for text in row.locator("td").all_inner_texts()[-3:-1]]
            assert shown == [field.size[0], field.strides[0]]
    assert len(rows) == 4


# --- LeNet ----------------------------------------------------------------------------------------

FORWARD = """async ([address, file, pictures]) => {
  const { network, forward } = await import(address + "lenet.js");
  const { softmax, tensor } = await import(address + "arithmetic.js");
  const steps = network(file);
  return pictures.map(picture => Array.from(
    softmax(forward(steps, tensor([28, 28, 1], Float64Array.from(picture))).at(-1).data)));
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
        save_network(model, tmp_path / "mine.json")
        file = json.loads((tmp_path / "mine.json").read_text("utf-8"))
        expected = np.asarray(keras.ops.softmax(model(images)))
        assert np.abs(in_page(page, address, file, images) - expected).max() < 1e-4


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


def test_lenet_takes_clothes_noise_drawings_and_files(show, page, tmp_path):
    explorer = show("lenet")
    said = explorer.get_by_role("status")
    assert "The label is T-shirt/top" in said.inner_text()
    explorer.get_by_label("Ankle boot, picture 30").check(force=True)
    assert "The label is Ankle boot" in said.inner_text()
    percents = explorer.locator(".bars tr td:last-child").all_inner_texts()
    assert abs(sum(float(text.removesuffix(" %")) for text in percents) - 100) < 1
    assert explorer.get_by_label(re.compile("feature maps of 28 × 28")).count() >= 1
    assert explorer.get_by_label(re.compile("16 feature maps of")).count() >= 2

    explorer.get_by_role("button", name="Noise").click()
    page.wait_for_timeout(300)
    assert "lenet.picture=noise-1" in page.url

    # Drawn with the mouse, and with the keyboard; the address holds it.
    explorer.get_by_role("button", name="Clear").click()
    pad = explorer.get_by_label(re.compile("The picture. Draw"))
    box = pad.bounding_box()
    page.mouse.move(box["x"] + 60, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 160, box["y"] + 60, steps=10)
    page.mouse.up()
    pad.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    drawn = percents = explorer.locator(".bars tr td:last-child").all_inner_texts()
    page.wait_for_timeout(300)
    query = page.url.partition("?")[2].partition("#")[0]
    again = show("lenet", query)
    restored = again.locator(".bars tr td:last-child").all_inner_texts()
    # An address has sixteen greys: the drawing has come back up to that.
    assert drawn != ["10.0 %"] * 10
    differences = [abs(float(a[:-2]) - float(b[:-2])) for a, b in zip(drawn, restored, strict=True)]
    assert max(differences) < 10

    # A network of the reader's own, and a file that is none.
    model = LeNet()
    save_network(model, tmp_path / "mine.json")
    (tmp_path / "wrong.json").write_text("{}")
    again.get_by_role("button", name="Clear").click()
    again.get_by_label("Your network").set_input_files(tmp_path / "mine.json")
    again.get_by_text("your network, “mine.json”").wait_for()
    expected = np.asarray(keras.ops.softmax(model(np.zeros((1, 28, 28, 1)))))[0]
    shown = [
        float(text[:-2]) / 100 for text in again.locator(".bars td:last-child").all_inner_texts()
    ]
    assert np.allclose(shown, expected, atol=6e-4)
    again.get_by_label("Your network").set_input_files(tmp_path / "wrong.json")
    again.get_by_role("alert").get_by_text("cnn_tf.save_network").wait_for()
    again.get_by_role("button", name="Reset").click()
    assert again.get_by_role("alert").count() == 0
