"""What several tests do in a page."""


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
