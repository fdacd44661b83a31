"""Solutions of exercises as `<details>` elements: folded, and unfolded, without a script."""

from docutils import nodes
from sphinx.application import Sphinx
from sphinx_exercise.nodes import is_extension_node, solution_node


def _prepare(app: Sphinx, doctree: nodes.document) -> None:
    for node in list(doctree.findall(is_extension_node)):
        if isinstance(node, solution_node):
            node["collapsible"] = "closed"
        # sphinx-exercise wraps each content in a section, all of them with one id.
        while wrappers := [child for child in node if isinstance(child, nodes.section)]:
            place = node.index(wrappers[0])
            node[place : place + 1] = wrappers[0].children


def setup(app: Sphinx) -> dict[str, bool]:
    """Draw sphinx-exercise's solutions as Sphinx draws its own collapsible admonitions."""
    app.setup_extension("sphinx_exercise")
    app.connect("doctree-read", _prepare)
    app.add_node(
        solution_node,
        override=True,
        html=(
            lambda translator, node: translator.visit_admonition(node),
            lambda translator, node: translator.depart_admonition(node),
        ),
    )
    return {"parallel_read_safe": True, "parallel_write_safe": True}
