"""The site: ``sphinx-build -W --keep-going -b html docs docs/_build/html``.

Every page's code runs while the site is built, in two processes, and its figures are
drawn then (see executed.py); a page that fails or prints something else is a warning,
and ``-W`` makes warnings errors. ``-D run_code=0`` builds the text alone.
"""

from __future__ import annotations

import os
import posixpath
import re
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from sphinx.util import logging

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS))
sys.path.insert(0, str(DOCS.parent))

import executed  # noqa: E402, from the folders put on the path

import ngmm  # noqa: E402
from tests.public_surface import public_symbols  # noqa: E402

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

project = "ngmm"
author = "The ngmm authors"
release = version = ngmm.__version__
extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
]
exclude_patterns = ["_build"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
nitpicky = False

html_theme = "furo"
html_title = f"ngmm {release}"
html_static_path: list[str] = []
html_show_sphinx = False

default_role = "py:obj"
html_copy_source = False
myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3
autodoc_typehints = "none"
autodoc_member_order = "groupwise"
autosummary_generate = True
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

IMAGES = DOCS / "_build" / "figures"
PROCESSES = min(2, os.cpu_count() or 1)
UPWARDS = re.compile(r"\[([^\]]+)\]\((\.\./[^)#]+)(?:#[^)]*)?\)")
FIGURE = re.compile(r"^<!-- figure: (.*?) -->", re.MULTILINE | re.DOTALL)

logger = logging.getLogger(__name__)


def run_pages(app: Sphinx) -> None:
    """Run the code of all pages before any is read."""
    if not app.config.run_code:
        return
    os.environ["MPLBACKEND"] = "Agg"
    os.chdir(DOCS.parent)
    IMAGES.mkdir(parents=True, exist_ok=True)
    pages = [
        page
        for page in sorted(DOCS.rglob("*.md"))
        if "_build" not in page.parts and executed.has_code(page.read_text("utf-8"))
    ]
    software = executed.version()
    # Processes that are forked after jax has started threads may hang.
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        runs = [pool.submit(executed.run_once, p, IMAGES, software) for p in pages]
        for page, started in zip(pages, runs, strict=True):
            ran = started.result()
            app.ngmm_figures[page] = ran.figures
            logger.info("ran %s, %d figures", page.name, len(ran.figures))
            for problem in ran.problems:
                logger.warning(problem)


def read_page(app: Sphinx, name: str, source: list[str]) -> None:
    """Put the figures in their places, and name what lies outside the site."""
    page = DOCS / f"{name}.md"
    drawn = iter(app.ngmm_figures.get(page, ()))
    up = posixpath.relpath(str(IMAGES), str(page.parent))

    def figure(found: re.Match[str]) -> str:
        caption = " ".join(found[1].split())
        files = next(drawn, ())
        return "\n".join(
            f"```{{figure}} {up}/{file}\n:alt: {caption}\n\n"
            + (caption if file == files[-1] else "")
            + "\n```\n"
            for file in files
        )

    def outside(found: re.Match[str]) -> str:
        target = (page.parent / found[2]).resolve()
        if target.is_relative_to(DOCS):
            return found[0]
        return f"{found[1]} (`{target.relative_to(DOCS.parent)}` in the repository)"

    source[0] = UPWARDS.sub(outside, FIGURE.sub(figure, source[0]))


def check_reference(_: Sphinx, env: BuildEnvironment) -> None:
    """Warn of public names that the reference does not have."""
    known = {name for name, *_ in env.get_domain("py").get_objects()}
    for symbol in public_symbols():
        if symbol.name not in known:
            logger.warning("the reference does not have %s", symbol.name)


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the pages' code to the build."""
    app.ngmm_figures = {}
    app.add_config_value("run_code", True, "env", bool)
    app.connect("builder-inited", run_pages)
    app.connect("source-read", read_page)
    app.connect("env-check-consistency", check_reference)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
