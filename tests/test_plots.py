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
    with pytest.raises(ValueError, match=r"expected 2 values .*\. Received: shape \(3,\)"):
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


def test_cells_hold_numbers_and_words():
    figure = plots.cells_plot(
        plots.Cells([[1, 2.5]], "X"), "=", plots.Cells([["a", "b"]]), note="so it is", alt="x"
    )
    assert texts(figure) == ["1", "2.5", "X", "=", "a", "b", "so it is"]


def test_a_cell_has_one_size_in_all_drawings():
    def cell_width(figure):
        root = ET.fromstring(figure.svg)
        drawn = [path.get("d") for path in root.iter(f"{SVG}path")]
        xs = [float(x) for x in re.findall(r"[ML] ([\d.]+) ", drawn[1])]  # 0: the background
        pixels = float(re.search(r"width: (\d+)px", figure.svg)[1])
        width = float(root.get("viewBox").split()[2])
        return (max(xs) - min(xs)) * pixels / width

    small = plots.cells_plot(plots.Cells(np.zeros((1, 2)), lit=...), alt="x")
    large = plots.cells_plot([plots.Cells(np.zeros((9, 9)), lit=...)] * 2, note="w" * 80, alt="x")
    assert cell_width(small) == pytest.approx(cell_width(large), rel=0.02)
    assert cell_width(small) == pytest.approx(0.42 * 96, rel=0.02)  # inches, CSS pixels


@pytest.mark.parametrize(
    ("lit", "expected"),
    [
        (None, [[0, 0], [0, 0]]),
        (..., [[1, 1], [1, 1]]),
        (np.s_[1], [[0, 0], [1, 1]]),
        (np.s_[0, 1], [[0, 1], [0, 0]]),
        (np.array([[True, False], [False, True]]), [[1, 0], [0, 1]]),
        ([[0.25, 0], [0, 1]], [[0.25, 0], [0, 1]]),
    ],
    ids=str,
)
def test_cells_are_lit_by_index_mask_or_strength(lit, expected):
    np.testing.assert_array_equal(plots.Cells(np.zeros((2, 2)), lit=lit).lit, expected)


def test_dashed_cells_have_dashed_edges():
    padding = np.pad(np.zeros((1, 1)), 1, constant_values=1)
    figure = plots.cells_plot(plots.Cells(np.zeros((3, 3)), dashed=padding), alt="x")
    assert figure.svg.count("stroke-dasharray") == 8


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"values": [1, 2]}, r"matrix of values\. Received: shape \(2,\)"),
        (
            {"lit": np.ones((1, 2))},
            r"lit of the shape of values, \(2, 2\)\. Received: shape \(1, 2\)",
        ),
        ({"dashed": [[1]]}, r"dashed of the shape of values, .* Received: shape \(1, 1\)"),
    ],
    ids=["values", "lit", "dashed"],
)
def test_cells_refuse_what_does_not_fit(wrong, message):
    with pytest.raises(ValueError, match=message):
        plots.Cells(**({"values": np.zeros((2, 2))} | wrong))


def test_cells_plot_wants_parts():
    with pytest.raises(ValueError, match="something to draw"):
        plots.cells_plot(alt="x")


def test_signed_colors_leave_the_page_free_at_zero():
    colors = plots.signed_colors(np.array([-2.0, -0.5, 0.0, 1.0]))
    np.testing.assert_array_equal(colors[:, 3], [1, 0.5, 0, 1])
    np.testing.assert_array_equal(colors[0, :3], matplotlib.colors.to_rgb(plots.K_COLOR))
    np.testing.assert_array_equal(colors[3, :3], matplotlib.colors.to_rgb(plots.X_COLOR))


def test_signed_grid_has_a_scale_from_its_largest_number():
    figure = plots.signed_grid(np.array([[[0.5, -3.25]], [[1, 0]]]), ["a", "b"], alt="x")
    assert texts(figure) == ["a", "b", "−3.25", "3.25"]
    limited = plots.signed_grid(np.array([[[0.5, -3.25]]]), limit=1, alt="x")
    assert texts(limited) == ["−1", "1"]


@pytest.mark.parametrize("shape", [(5, 5), (0, 5, 5), (1, 5, 5, 1)])
def test_signed_grid_refuses_other_shapes(shape):
    with pytest.raises(ValueError, match=re.escape(f"shape {shape}")):
        plots.signed_grid(np.zeros(shape), alt="x")


def test_signed_grid_wants_a_title_for_each():
    with pytest.raises(ValueError, match=r"signed_grid expected a title for each of 2 .* 1\."):
        plots.signed_grid(np.zeros((2, 5, 5)), ["a"], alt="x")


def test_line_plot_draws_the_mean_of_repeats_in_their_band():
    once = plots.line_plot({"t": {"a": [1, 2]}}, x=[1, 2], x_label="x", alt="x")
    often = plots.line_plot({"t": {"a": [[1, 1], [1, 3]]}}, x=[1, 2], x_label="x", alt="x")
    assert "fill-opacity: 0.2" not in once.svg
    assert "fill-opacity: 0.2" in often.svg


def test_line_plot_takes_logarithmic_axes():
    figure = plots.line_plot({"t": {"a": [1, 9, 99]}}, x=[1, 2, 8], x_label="x", alt="x", log="xy")
    assert {"1", "2", "8"} <= set(texts(figure))
    with pytest.raises(ValueError, match=r"log to be .* Received: 'z'"):
        plots.line_plot({"t": {"a": [1]}}, x=[1], x_label="x", alt="x", log="z")


def test_dot_plot_holds_a_row_for_each_name():
    figure = plots.dot_plot({"old": [1, 2], "new": [3]}, x_label="score", alt="x")
    assert {"old", "new", "score"} <= set(texts(figure))


@pytest.mark.parametrize("rows", [{}, {"a": []}, {"a": [1], "b": []}], ids=str)
def test_dot_plot_wants_measurements(rows):
    with pytest.raises(ValueError, match="measurements in each row"):
        plots.dot_plot(rows, x_label="x", alt="x")
