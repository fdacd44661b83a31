"""The drawings: what they hold, and that a page can take them in."""

import re
import sys
import xml.etree.ElementTree as ET

import matplotlib.figure
import numpy as np
import pytest

from cnn_tf import plots

SVG = "{http://www.w3.org/2000/svg}"


def texts(figure):
    return [node.text for node in ET.fromstring(figure.svg).iter(f"{SVG}text")]


def test_image_grid_holds_each_picture_with_its_title():
    figure = plots.image_grid(np.random.default_rng(0).random((7, 5, 5)), list("abcdefg"))
    assert figure.svg.count("<image ") == 7
    assert texts(figure) == list("abcdefg")
    assert figure.alt == "7 pictures: a, b, c, d, e, f, g."


@pytest.mark.parametrize("shape", [(2, 5, 5), (2, 5, 5, 1), (2, 5, 5, 3)])
def test_image_grid_takes_grey_and_colour(shape):
    assert plots.image_grid(np.zeros(shape)).svg.count("<image ") == 2


def test_image_grid_takes_an_array_of_titles():
    assert plots.image_grid(np.zeros((2, 5, 5)), np.array(["a", "b"])).alt == "2 pictures: a, b."


@pytest.mark.parametrize("shape", [(5, 5), (0, 5, 5), (1, 1, 5, 5, 1)])
def test_image_grid_refuses_other_shapes(shape):
    with pytest.raises(ValueError, match=re.escape(f"shape {shape}")):
        plots.image_grid(np.zeros(shape))


def test_image_grid_wants_a_title_for_each():
    with pytest.raises(ValueError, match=r"title for each of 2 pictures\. Received: 1"):
        plots.image_grid(np.zeros((2, 5, 5)), ["a"])


def test_ink_takes_the_colour_of_the_page():
    figure = plots.line_plot({"loss": {"training": [2, 1]}}, x=[1, 2], x_label="epoch", alt="x")
    assert "currentColor" in figure.svg
    assert "#010203" not in figure.svg
    assert "<style" not in figure.svg  # it would rule the whole page


def test_ids_of_two_figures_do_not_meet():
    def ids(values):
        panels = {"loss": {"training": values}}
        figure = plots.line_plot(panels, x=[1, 2], x_label="epoch", alt="x")
        found = set(re.findall(r'\bid="([^"]+)"', figure.svg))
        used = set(re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', figure.svg))
        assert {a or b for a, b in used} <= found
        return found

    assert not ids([2, 1]) & ids([2, 3])


def test_same_drawing_gives_same_bytes():
    first, second = (plots.corr2d_plot(np.eye(3), np.eye(2)).svg for _ in range(2))
    assert first == second


def test_alternative_text_is_escaped():
    figure = plots.Figure(matplotlib.figure.Figure(), alt='a "quoted" <word>')
    assert 'aria-label="a &quot;quoted&quot; &lt;word&gt;"' in figure.svg
    ET.fromstring(figure.svg)


def test_line_plot_wants_as_many_values_as_x():
    with pytest.raises(ValueError, match=r"expected 2 values .*\. Received: 3"):
        plots.line_plot({"loss": {"training": [1, 2, 3]}}, x=[1, 2], x_label="epoch", alt="")


def test_line_plot_refuses_what_it_could_not_tell_apart():
    curves = {name: [1, 2] for name in "abcd"}
    with pytest.raises(ValueError, match=r"can tell 3 curves apart\. Received: 4 in 'loss'"):
        plots.line_plot({"loss": curves}, x=[1, 2], x_label="epoch", alt="")


def test_says_what_to_install_where_matplotlib_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.colors", None)
    with pytest.raises(ImportError, match="pip install matplotlib"):
        plots.image_grid(np.zeros((2, 5, 5)))


def test_corr2d_plot_writes_the_sum_out():
    figure = plots.corr2d_plot(np.arange(9).reshape(3, 3), np.arange(4).reshape(2, 2), 1, 0)
    assert "3·0 + 4·1 + 6·2 + 7·3 = 37" in texts(figure)
    assert {"19", "25", "37", "43"} <= set(texts(figure))


@pytest.mark.parametrize("place", [(2, 0), (0, 2), (-1, 0)])
def test_corr2d_plot_refuses_a_place_outside(place):
    with pytest.raises(ValueError, match=r"place in the output of shape \(2, 2\)"):
        plots.corr2d_plot(np.eye(3), np.eye(2), *place)


def test_confusion_plot_counts():
    labels, predictions = [0, 0, 0, 0, 1, 1, 2], [0, 0, 0, 1, 1, 2, 2]
    figure = plots.confusion_plot(labels, predictions, ["a", "b", "c"])
    assert [text for text in texts(figure) if text.isdigit()] == ["75", "25", "50", "50", "100"]
    assert figure.alt.endswith("Most often, b is taken for c: 50 %.")


def test_confusion_plot_where_nothing_is_wrong():
    assert plots.confusion_plot([0, 1], [0, 1], ["a", "b"]).alt == "100 % of 2 pictures are right."


def test_confusion_plot_wants_a_prediction_for_each_label():
    with pytest.raises(ValueError, match=r"shapes \(2,\) and \(3,\)"):
        plots.confusion_plot([0, 1], [0, 1, 1], ["a", "b"])
