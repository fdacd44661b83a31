"""The book as one PDF and one EPUB, made of the finished site."""

import os
import re
import shutil
import subprocess
import sys
import unicodedata
import zipfile
from pathlib import Path

import pytest
from pypdf import PdfReader

from tests.chapter import CHAPTER, exercises, source
from tools.paper import contents, read_pages

ROOT = Path(__file__).parent.parent

pytestmark = [pytest.mark.slow, pytest.mark.published]


def make(kind, site, folder):
    """The file, and what the site offers afterwards."""
    copy = folder / "site"
    shutil.copytree(site, copy)
    path = copy / f"cnn_tf.{kind}"
    done = subprocess.run(
        [sys.executable, "-m", "tools.paper", kind, copy, path],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return path, (copy / "index.html").read_text("utf-8")


@pytest.fixture(scope="module")
def pages(site):
    return read_pages(site)


def test_nothing_is_left_that_can_only_be_clicked(pages):
    for page in pages:
        assert page.body.select("script, button, input, form, details, template, .hint") == []
        assert page.body.find_all(re.compile("cnn-")) == []
        assert page.body.select("[href^='?'], [href*='.html#']") == []


def test_answers_and_solutions_stand_at_the_end(pages):
    for page in pages:
        if page.name in CHAPTER:
            *_, last = page.body.find_all("section", recursive=False)
            assert last.h2.get_text() == "Answers and solutions"
            titles = [title.get_text() for title in last.select(".answer-title")]
            questions = source(page.name).count("{question}")
            assert titles[:questions] == [f"Question {n + 1}" for n in range(questions)]
            assert len(titles[questions:]) == len(exercises(page.name))
            assert all(title.startswith("Solution to Exercise ") for title in titles[questions:])


def test_each_interactive_figure_is_a_still_with_an_address(pages):
    lines = [line.get_text() for page in pages for line in page.body.select("p.live")]
    made = sum(len(re.findall(r'\bexplore\("', source(page))) for page in CHAPTER)
    assert len(lines) == made >= 9
    assert all(re.search(r"[\w-]+\.html#explore-[\w-]+$", line) for line in lines)
    for page in pages:
        for line in page.body.select("p.live"):
            assert line.find_parent("figure").select_one("svg[role=img]")


def test_links_lead_somewhere(pages):
    anchors = {element["id"] for page in pages for element in page.body.select("[id]")}
    anchors |= {page.name for page in pages}
    for page in pages:
        for link in page.body.select("a[href^='#']"):
            assert link["href"][1:] in anchors, link
        ids = [element["id"] for element in page.body.select("[id]:not(svg *)")]
        assert len(ids) == len(set(ids))


@pytest.mark.browser
def test_pdf(site, pages, chromium, tmp_path):
    path, index = make("pdf", site, tmp_path)
    assert 'href="cnn_tf.pdf"' in index
    reader = PdfReader(path)
    root = reader.trailer["/Root"]
    assert root["/MarkInfo"]["/Marked"]  # for screen readers
    assert root["/Lang"] == "en"
    assert reader.metadata.title == "Convolutional networks"
    assert 100 < len(reader.pages) < 400

    links = [
        link.get_object().get("/A", {})
        for page in reader.pages
        for link in page.get("/Annots") or []
    ]
    addresses = [link["/URI"] for link in links if "/URI" in link]
    assert len(links) - len(addresses) > 500  # within the book
    assert all(address.startswith("https:") for address in addresses)

    def outline(entries, level=1):
        for entry in entries:
            if isinstance(entry, list):
                yield from outline(entry, level + 1)
            elif level <= 2:
                yield level, entry.title, reader.get_destination_page_number(entry) + 1

    lines = list(contents(pages))
    expected = [(line.level, line.words) for line in lines]
    found = list(outline(reader.outline))
    assert [(level, title) for level, title, _ in found] == expected
    # The contents name the pages on which the headings are.
    text = "\n".join(page.extract_text() for page in reader.pages[1:6])
    printed = [int(number) for number in re.findall(r"(\d+)$", text, re.MULTILINE)]
    for (_, title, number), line in zip(found, lines, strict=True):
        printed_text = unicodedata.normalize("NFKC", reader.pages[number - 1].extract_text())
        assert "".join(title.split()) in "".join(printed_text.split()), line
        assert number in printed


def test_epub(site, pages, tmp_path):
    path, index = make("epub", site, tmp_path)
    assert 'href="cnn_tf.epub"' in index
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        assert names[0] == "mimetype"
        chapters = [name for name in names if name.endswith(".xhtml") and "nav" not in name]
        assert [Path(name).stem for name in chapters] == [page.name for page in pages]
        text = "".join(archive.read(name).decode() for name in chapters)
        assert "<math" in text
        assert 'viewBox="' in text
    jar = Path("/usr/share/java/epubcheck.jar")
    if not (jar.is_file() and shutil.which("java")):
        if os.environ.get("CNN_TF_CI"):
            pytest.fail("EPUBCheck was not found, and CNN_TF_CI is set: install it.")
        pytest.skip("no EPUBCheck (Debian: apt-get install epubcheck)")
    done = subprocess.run(
        ["java", "-jar", jar, path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert "0 fatals / 0 errors / 0 warnings" in done.stdout, done.stdout
    assert done.returncode == 0


def test_without_a_site_it_says_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match="run `make book` first"):
        read_pages(tmp_path)
