"""Solutions of exercises as `<details>` elements: folded, and unfolded, without a script."""

from docutils import nodes
from sphinx.application import Sphinx
from sphinx_exercise.nodes import solution_node


def _fold(app: Sphinx, doctree: nodes.document) -> None:
    for node in doctree.findall(solution_node):
        node["collapsible"] = "closed"


def setup(app: Sphinx) -> dict[str, bool]:
    """Draw sphinx-exercise's solutions as Sphinx draws its own collapsible admonitions."""
    app.setup_extension("sphinx_exercise")
    app.connect("doctree-read", _fold)
    app.add_node(
        solution_node,
        override=True,
        html=(
            lambda translator, node: translator.visit_admonition(node),
            lambda translator, node: translator.depart_admonition(node),
        ),
    )
    return {"parallel_read_safe": True, "parallel_write_safe": True}
