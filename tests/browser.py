"""What several tests do in a page."""

import contextlib
import functools
import http.server
import re
import threading

from axe_playwright_python.sync_playwright import Axe


@contextlib.contextmanager
def serve(folder, under=""):
    """The address at which a folder is served for a while, under a path if one is given."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def translate_path(self, path):
            return super().translate_path(re.sub(rf"^/{under}", "/", path))

        def log_message(self, *args):
            pass

    handler = functools.partial(Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/{under}"
        server.shutdown()


@contextlib.contextmanager
def open_page(chromium, width, height):
    """A page in a window of its own, with the list of what goes wrong in it."""
    context = chromium.new_context(viewport={"width": width, "height": height})
    context.set_default_timeout(20_000)
    page = context.new_page()
    page.problems = listen(page)
    yield page
    context.close()


def listen(page):
    """A list to which each error of a page's scripts will be added."""
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda said: said.type == "error" and problems.append(said.text))
    return problems


def wake(page):
    """Bring each explorer of a page into sight, where it begins to live."""
    for explorer in page.locator(":is([linked])").all():
        explorer.scroll_into_view_if_needed()
        explorer.locator(".explorer").wait_for()
    page.wait_for_load_state("networkidle")


def table(explorer, name):
    """The numbers of a table of an explorer, as text."""
    return explorer.get_by_role("table", name=name, exact=True).evaluate(
        """table => Array.from(table.rows, row => Array.from(row.querySelectorAll("td"), cell =>
            cell.querySelector("input")?.value ?? cell.textContent))"""
    )


def numbers(explorer, name):
    """The numbers of a table of an explorer; empty cells are None."""
    return [
        [float(text.replace("−", "-")) if text else None for text in row]
        for row in table(explorer, name)
    ]


CONTRAST = "color-contrast"  # the rule of axe that takes longest


def barriers(page, context=None, **options):
    """What axe finds that some readers could not use."""
    found = Axe().run(page, context, {"resultTypes": ["violations"], **options}).response
    return [(it["id"], it["nodes"][0]["html"][:200]) for it in found["violations"]]


def thin_out(page, parts="body"):
    """Take from each part of a page what axe would read thousands of times.

    Those are the insides of still drawings, each of which has a name of its own, and of code and
    formulas all but one of a kind: of what has one colour in one place.
    """
    page.evaluate(
        """parts => {
          for (const part of document.querySelectorAll(parts)) {
            const known = new Set(), repeated = [];
            for (const it of part.querySelectorAll(".highlight span[class], math")) {
              const place = (it.closest(".highlight") ?? it).parentElement.className;
              const kind = [place, it.className, getComputedStyle(it).color].join();
              if (known.has(kind)) repeated.push(it);
              known.add(kind);
            }
            for (const it of repeated) it.replaceWith(it.matches("math") ? "x" : it.textContent);
            part.normalize();
            for (const drawing of part.querySelectorAll("svg[role=img]"))
              if (!drawing.querySelector("a, [role], [tabindex]")) drawing.replaceChildren();
          }
        }""",
        parts,
    )


def pale(page):
    """What is hard to read for its colours, in a page of which then little is left.

    Text of one colour on one ground in one kind of place is looked at once.
    """
    page.evaluate(
        """() => {
          const known = new Set();
          // Whether there is text in it that was not known.
          const look = (it, place) => {
            if (it.nodeType === Node.TEXT_NODE) {
              const fresh = it.data.trim() !== "" && !known.has(place);
              if (fresh) known.add(place);
              else it.data = " ";
              return fresh;
            }
            if (it.nodeType === Node.ELEMENT_NODE) {
              if (it.matches("style, link")) return false;
              const kind = it.getAttribute("class"), style = getComputedStyle(it);
              if (style.display === "none") {
                it.remove();
                return false;
              }
              const { visibility, color, backgroundColor } = style;
              place = [place, it.localName, kind, visibility, color, backgroundColor].join();
            }
            const inside = [...(it.shadowRoot?.childNodes ?? []), ...it.childNodes];
            const kept = inside.filter((child) => look(child, place)).length > 0;
            if (!kept) it.remove();
            return kept;
          };
          look(document.body, "");
        }"""
    )
    found = []
    for scheme in ("light", "dark"):  # which differ in their colours alone
        page.emulate_media(color_scheme=scheme)
        found += barriers(page, runOnly=CONTRAST)
    return found
