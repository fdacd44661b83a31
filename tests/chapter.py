"""What the chapter consists of, and how to read the executed pages and notebooks that show it."""

import re
from pathlib import Path

BOOK = Path(__file__).parents[1] / "book"
SECTIONS = ["from-dense-layers", "images", "padding-and-stride", "channels", "pooling", "lenet"]
CHAPTER = [*SECTIONS, "atoms"]

# The numbers that the chapter is about. White space stands for any white space.
NUMBERS = {
    "from-dense-layers": [
        "1,000,000,000",  # a dense layer on a megapixel, 1,000 hidden units
        "100,000,000",
        "1,000,000,000,000",  # a dense layer from image to image
        "3,996,001",  # (2·1000 - 1)², the 4·10⁶ weights of the translation-invariant one
    ],
    "images": [
        "[[19 25] [37 43]]",
        "[ 0 1 0 0 0 -1 0]",
        "0·0 + 1·1 + 3·2 + 4·3 = 19",
        "(8, 5)",
    ],
    "padding-and-stride": [
        "[[ 0 3 8 4] [ 9 19 25 10] [21 37 43 16] [ 6 7 8 0]]",
        "(8, 8)",
        "(4, 4)",
        "(2, 2)",
        "(2, 1)",
        "200 × 200",
        "30.6%",
        "[[0 8] [6 8]]",  # strides 3 and 2
    ],
    "channels": [
        "[[ 56 72] [104 120]]",
        "[[ 76 100] [148 172]]",
        "[[ 96 128] [192 224]]",
        "53,687,091,200",
    ],
    "pooling": [
        "[[4 5] [7 8]]",
        "[[2 3] [5 6]]",
        "[[10]]",
        "[[ 5 7] [13 15]]",
        "[[ 0 3] [ 8 11] [12 15]]",
        "[[ 6 8] [14 16]]",
    ],
    "lenet": [
        "28 × 28 × 6",
        "14 × 14 × 6",
        "10 × 10 × 16",
        "5 × 5 × 16",
        "400",
        "120",
        "84",
        "61,706",
        "23.4%",
    ],
}


EXERCISE = re.compile(r"^```\{exercise\} (.+)\n:label: (\S+)$", re.MULTILINE)


def source(page):
    return (BOOK / f"{page}.md").read_text("utf-8")


def exercises(section):
    """Title and label of each exercise of a section."""
    return EXERCISE.findall(source(section))


def said(notebook):
    """What a reader sees below the cells of an executed notebook, as one text."""
    texts = []
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code" and "remove-cell" not in cell["metadata"].get("tags", []):
            for output in cell["outputs"]:
                data = output.get("data", {})
                texts.append("".join(output.get("text", data.get("text/plain", ""))))
    return _plain("\n".join(texts))


def says(number, text):
    """Whether one of the numbers above stands in a text of `said`."""
    return _plain(number) in text


def _plain(text):
    # Digits may carry a point or not: arrays of floats print "19." for 19.
    text = " ".join(re.sub(r"(\d)\.0*(?=[\s\]),]|$)", r"\1", text).split())
    return text.replace("[ ", "[")
