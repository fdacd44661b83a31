"""Sphinx extension: mathematics as MathML, which browsers draw by themselves.

A page needs no script for it and shows it at the first paint, offline too. The converter is the
library math-core; an error in a formula is an error of the build, with its place.
"""

from __future__ import annotations

from docutils import nodes
from math_core import LatexError, LatexToMathML
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.math import get_node_equation_number
from sphinx.writers.html5 import HTML5Translator

# The LaTeX source goes along as an annotation: it can be read by tools, and copied.
_converter = LatexToMathML(annotation=True)


def _mathml(node: nodes.Element, display: bool) -> str:
    try:
        return _converter.convert_with_local_state(node.astext().strip(), displaystyle=display)
    except LatexError as error:
        raise ExtensionError(f"{node.source}:{node.line}: cannot convert LaTeX: {error}") from error


def visit_math(self: HTML5Translator, node: nodes.math) -> None:
    """Write a formula in a line of text."""
    self.body.append(_mathml(node, display=False))
    raise nodes.SkipNode


def visit_math_block(self: HTML5Translator, node: nodes.math_block) -> None:
    """Write a displayed formula, with its number and its anchor if it has them."""
    in_wrapper = node.parent["ids"] == node["ids"]  # MyST's, which has the anchor already
    anchor = f' id="{node["ids"][0]}"' if node["ids"] and not in_wrapper else ""
    self.body.append(f'<div class="equation"{anchor} tabindex="0">{_mathml(node, display=True)}')
    if node["number"]:
        self.body.append(f'<span class="eqno">({get_node_equation_number(self, node)})')
        self.add_permalink_ref(node, "Link to this equation")
        self.body.append("</span>")
    self.body.append("</div>\n")
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Make this Sphinx's way of writing mathematics in HTML."""
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math_block, None))
    app.config.html_math_renderer = "mathml"
    return {"parallel_read_safe": True, "parallel_write_safe": True}
