"""The questions of the self-tests: what they accept, what they say, and what they keep."""

import json
import re
from fractions import Fraction

import numpy as np
import pytest

from cnn_tf.questions import check
from tests.browser import open_page
from tests.chapter import CHAPTER

FILE = {
    "mine-1": {
        "kind": "number",
        "choices": [],
        "right": 0.3333,
        "within": 0.004,
        "wrong": [{"answer": 3, "within": 0, "hint": "The other way round."}],
    },
    "mine-2": {
        "kind": "shape",
        "choices": [],
        "right": [26, 38],
        "within": 0,
        "wrong": [{"answer": [25, 37], "within": 0, "hint": "One more."}],
    },
    "mine-3": {
        "kind": "matrix",
        "choices": [],
        "right": [[1, -2], [0.5, 0]],
        "within": 0,
        "wrong": [{"answer": [[1, 0.5], [-2, 0]], "within": 0, "hint": "Swapped."}],
    },
    "mine-4": {
        "kind": "choice",
        "choices": ["yes", "no", "perhaps"],
        "right": 1,
        "within": 0,
        "wrong": [
            {"answer": 0, "within": 0, "hint": "Think again."},
            {"answer": 2, "within": 0, "hint": "Be bold."},
        ],
    },
}


# --- In a notebook --------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path, monkeypatch):
    path = tmp_path / "questions.json"
    path.write_text(json.dumps(FILE))
    monkeypatch.setenv("CNN_TF_QUESTIONS", str(path))
    return path


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("mine-1", 1 / 3),
        ("mine-1", Fraction(1, 3)),
        ("mine-1", np.float32(0.33)),
        ("mine-2", (26, 38)),
        ("mine-2", np.array([26, 38])),
        ("mine-2", [26.0, 38.0]),
        ("mine-3", [[1, -2], [0.5, 0]]),
        ("mine-3", np.array([[1, -2], [0.5, 0]], "float32")),
        ("mine-4", "b"),
        ("mine-4", " B "),
    ],
)
def test_right_answers(file, name, answer):
    verdict = check(name, answer)
    assert verdict.right is True
    assert verdict._repr_markdown_() == repr(verdict) == "Right."


@pytest.mark.parametrize(
    ("name", "answer", "words"),
    [
        ("mine-1", 3, "Not yet. The other way round."),
        ("mine-1", 0.3, "Not yet. Try another way"),
        ("mine-1", float("nan"), "Not yet. Try another way"),
        ("mine-2", (25, 37), "Not yet. One more."),
        ("mine-2", (26, 38, 1), "Not yet. Try another way"),
        ("mine-2", 26, "Not yet. Try another way"),
        ("mine-3", [[1, 0.5], [-2, 0]], "Not yet. Swapped."),
        ("mine-3", [1, -2], "Not yet. Try another way"),
        ("mine-4", "a", "Not yet. Think again."),
        ("mine-4", "c", "Not yet. Be bold."),
    ],
)
def test_wrong_answers(file, name, answer, words):
    verdict = check(name, answer)
    assert verdict.right is False
    assert verdict.words.startswith(words)


def test_no_answer_yet(file):
    verdict = check("mine-2", ...)
    assert verdict.right is None
    assert verdict.words.endswith("three dots: whole numbers, such as (3, 4).")


@pytest.mark.parametrize(
    ("name", "answer", "expected"),
    [
        ("mine-1", "3", "a number, such as 12 or 1 / 3"),
        ("mine-1", (1, 2), "a number"),
        ("mine-1", True, "a number"),
        ("mine-2", (26.5, 38), "whole numbers, such as (3, 4)"),
        ("mine-2", [[26, 38]], "whole numbers"),
        ("mine-2", None, "whole numbers"),
        ("mine-3", [[1, 2], [3]], "rows of numbers, such as [[1, 0, 2], [3, 4, 5]]"),
        ("mine-3", 1, "rows of numbers"),
        ("mine-4", "d", "one of the letters 'a', 'b', 'c'"),
        ("mine-4", 1, "one of the letters 'a', 'b', 'c'"),
    ],
)
def test_answers_of_another_kind(file, name, answer, expected):
    with pytest.raises(TypeError, match=re.escape(f"check expected {expected}")) as caught:
        check(name, answer)
    assert repr(name) in str(caught.value)
    assert f"Received: {answer!r}" in str(caught.value)


def test_unknown_questions_and_files(file, monkeypatch):
    with pytest.raises(KeyError, match=r"no question 'mine-9'\. There: mine-1, mine-2, mine-3"):
        check("mine-9", 1)
    for damaged in ("", "[1]", '{"mine-1": 3}', '{"mine-1": {"kind": "number"}}'):
        file.write_text(damaged)
        with pytest.raises(ValueError, match="does not hold the questions of the book"):
            check("mine-1", 1)
    monkeypatch.setenv("CNN_TF_QUESTIONS", str(file.with_name("nothing.json")))
    with pytest.raises(FileNotFoundError, match=r"nothing\.json .* CNN_TF_QUESTIONS"):
        check("mine-1", 1)


# --- Those of the book ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def questions(site):
    """The questions of each page by their names."""
    path = site.parent / "notebooks" / "questions.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CNN_TF_QUESTIONS", str(path))
        yield json.loads(path.read_text("utf-8"))


def of_page(questions, page):
    names = [name for name in questions if re.fullmatch(rf"{page}-\d+", name)]
    assert names == [f"{page}-{number + 1}" for number in range(len(names))]
    return {name: questions[name] for name in names}


def entered(question, answer):
    """An answer as Python takes it."""
    return chr(ord("a") + answer) if question["kind"] == "choice" else answer


@pytest.mark.slow
@pytest.mark.parametrize("page", CHAPTER)
def test_each_answer_gets_what_is_meant_for_it(page, questions):
    mine = of_page(questions, page)
    assert len(mine) >= 6
    kinds = [question["kind"] for question in mine.values()]
    assert kinds.count("choice") <= len(kinds) / 2
    for name, question in mine.items():
        assert question["text"]
        assert question["explanation"]
        assert check(name, entered(question, question["right"])).right
        for wrong in question["wrong"]:
            verdict = check(name, entered(question, wrong["answer"]))
            assert (verdict.right, verdict.words) == (False, f"Not yet. {wrong['hint']}")
        hints = [wrong["hint"] for wrong in question["wrong"]]
        assert len(set(hints)) == len(hints)
        if question["kind"] == "choice":
            answers = sorted([question["right"], *(it["answer"] for it in question["wrong"])])
            assert answers == list(range(len(question["choices"])))


def written(question):
    """How the right answer might stand in a text; nothing for what any text may hold."""
    right = question["right"]
    if question["kind"] == "number":
        return [f"{right:,}"] if abs(right) >= 10 or right != int(right) else []
    if question["kind"] == "choice":
        return [question["choices"][right]]
    rows = right if question["kind"] == "matrix" else [right]
    signs = (", ", " × ", r" \times ", " ")
    return [sign.join(map(str, row)) for row in rows for sign in signs if len(row) > 1]


@pytest.mark.slow
@pytest.mark.parametrize("page", CHAPTER)
def test_no_hint_holds_the_solution(page, questions):
    for name, question in of_page(questions, page).items():
        for wrong in question["wrong"]:
            plain = wrong["hint"].replace("{,}", ",")
            for text in written(question):
                found = re.search(rf"(?<![\d.,]){re.escape(text)}(?![\d]|[.,]\d)", plain)
                assert not found, (name, text, wrong["hint"])


# --- On the page ----------------------------------------------------------------------------------


@pytest.fixture
def page(chromium):
    with open_page(chromium, 1000, 900) as page:
        yield page
        assert page.problems == []


ENTER = """([name, answer]) => {
    const form = document.querySelector(`[data-name="${name}"] form.answer`);
    const control = form.elements.namedItem("answer");
    if (form.dataset.kind === "choice") control.value = String(answer);
    else if (form.dataset.kind === "matrix") {
        control.value = answer.map((row) => row.join(" ")).join("\\n");
    } else control.value = String(answer);
    form.requestSubmit();
    const { dataset, textContent } = form.querySelector(".verdict");
    return [dataset.result, textContent];
}"""


def hints(page, name):
    """The hints as the page shows them, in their order."""
    return page.evaluate(
        """name => Array.from(document.querySelectorAll(`[data-name="${name}"] .hint`),
            (hint) => hint.textContent)""",
        name,
    )


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize("name", CHAPTER)
def test_the_page_says_the_same(name, questions, page, address):
    page.goto(f"{address}{name}.html", wait_until="networkidle")
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    mine = of_page(questions, name)
    for question, content in mine.items():
        shown = hints(page, question)
        assert len(shown) == len(content["wrong"])
        for wrong, hint in zip(content["wrong"], shown, strict=True):
            result, words = page.evaluate(ENTER, [question, wrong["answer"]])
            assert (result, words) == ("wrong", f"Not yet. {hint}")
            assert not page.locator(f"[data-name='{question}'] details").evaluate("it => it.open")
        assert page.evaluate(ENTER, [question, content["right"]]) == ["right", "Right."]
        assert page.locator(f"[data-name='{question}'] details").evaluate("it => it.open")
    assert page.locator("p.progress").inner_text().startswith(f"{len(mine)} of {len(mine)} ")
    assert asked == []  # nothing leaves the page


@pytest.mark.slow
@pytest.mark.browser
def test_what_people_type_is_read(questions, page, address):
    page.goto(f"{address}images.html")

    def read(function, text):
        return page.evaluate(
            f"async (text) => (await import('./_static/questions.js')).{function}(text)", text
        )

    numbers = {"12": 12, " 1/3 ": 1 / 3, "-2,5": -2.5, "\u22123": -3, "14,820": 14_820}
    numbers |= {"14 820": 14_820, "1,234,567.5": 1_234_567.5, "1e3": 1000, ".5": 0.5, "+4": 4}
    for text, number in numbers.items():
        assert read("readNumber", text) == number, text
    for text in ("", "x", "1/2/3", "1/", "3 4", "--1", "1.2.3", "12 apples", "1,2,3"):
        assert np.isnan(read("readNumber", text)), text
    for text in ("26, 38", "(26, 38)", "26 × 38", "26x38", "26 * 38", "[26; 38]", "26 by 38"):
        assert read("readShape", text) == [26, 38], text
    for text in ("", "26, b", "1.5, 2", "()", "26 - 38 -"):
        assert read("readShape", text) is None, text
    for text in ("1 -2\n0.5 0", "1 -2; 0.5 0", "[[1, -2], [0.5, 0]]", "1, -2\n1/2, 0\n"):
        assert read("readMatrix", text) == [[1, -2], [0.5, 0]], text
    for text in ("", "1 2; 3", "a b", ";"):
        assert read("readMatrix", text) is None, text


@pytest.mark.slow
@pytest.mark.browser
def test_answers_are_kept_until_they_are_erased(questions, page, address):
    page.goto(f"{address}images.html")
    mine = of_page(questions, "images")
    first, second, *_ = mine
    page.evaluate(ENTER, [first, mine[first]["right"]])
    page.evaluate(ENTER, [second, mine[second]["wrong"][0]["answer"]])
    page.reload()
    count = page.locator("p.progress")
    assert count.inner_text().startswith(f"1 of {len(mine)} ")
    verdicts = page.locator(".verdict").all_inner_texts()
    assert verdicts == ["Right."] + [""] * (len(mine) - 1)
    page.goto(f"{address}index.html")
    words = page.locator("dt small.progress").inner_text()
    assert words.strip() == f"1 of {len(mine)} questions answered"
    page.goto(f"{address}images.html")
    page.get_by_role("button", name="Erase my answers").click()
    assert count.inner_text().startswith("0 of ")
    page.reload()
    assert count.inner_text().startswith("0 of ")
    assert page.evaluate("localStorage.length") == 0
    # From the page that lists them, all are erased at once.
    for name in ("images", "pooling"):
        page.goto(f"{address}{name}.html")
        (question, content), *_ = of_page(questions, name).items()
        page.evaluate(ENTER, [question, content["right"]])
    page.goto(f"{address}index.html")
    assert page.locator("dt small.progress").count() == 2
    page.get_by_role("button", name="Erase my answers").click()
    assert page.locator("dt small.progress").count() == 0
    assert page.evaluate("localStorage.length") == 0


@pytest.mark.slow
@pytest.mark.browser
def test_by_keyboard_alone(questions, page, address):
    page.goto(f"{address}images.html")
    mine = of_page(questions, "images")
    typed = next(name for name in mine if mine[name]["kind"] in ("number", "shape"))
    chosen = next(name for name in mine if mine[name]["kind"] == "choice")
    verdict = page.locator(f"[data-name='{typed}'] .verdict")
    page.locator(f"[data-name='{typed}'] input").focus()
    page.keyboard.press("Enter")
    assert verdict.inner_text().startswith("Expected ")
    assert page.evaluate("document.activeElement.name") == "answer"
    page.keyboard.type(str(mine[typed]["right"]).strip("[]"))
    assert verdict.inner_text() == ""  # what was said of another entry is taken back
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert verdict.inner_text() == "Right."
    page.locator(f"[data-name='{chosen}'] input").first.focus()
    page.keyboard.press("Space")
    for _ in range(mine[chosen]["right"]):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert page.locator(f"[data-name='{chosen}'] .verdict").inner_text() == "Right."
