"""Run the code of a page, compare what it prints, and keep the pictures it draws.

A page is Markdown. Its ```python blocks run one after the other in one namespace, in
the folder above this one. A ```text block holds what the block before it printed, and
a line ``<!-- figure: caption -->`` stands for the figures that were drawn since the
last such line. ``python docs/executed.py docs/plots.md ...`` runs pages by hand.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PIECES = re.compile(
    r"^```(?P<language>\w+)\n(?P<block>.*?)^```|^<!-- figure: (?P<caption>.*?) -->",
    re.DOTALL | re.MULTILINE,
)
# Networks trained in single precision end elsewhere on another number of cores. A page
# that says so shows the words of this run, and its numbers nearly.
TRAINED = "<!-- numbers: networks in single precision -->"
NUMBER = re.compile(r"(?<![\w.])-?\d[\d,]*\.?\d*(?:e[+-]?\d+)?")
RELATIVE, ABSOLUTE = 0.25, 0.1


@dataclass(frozen=True)
class Ran:
    """What came of a page.

    Parameters
    ----------
    problems
        A sentence for each block that failed or printed something else.
    figures
        Names of the image files of each figure line, in the order of the page.
    """

    problems: tuple[str, ...]
    figures: tuple[tuple[str, ...], ...]


def has_code(text: str) -> bool:
    """Whether a page has code to run."""
    return "```python\n" in text


def run(page: Path, images: Path | None = None) -> Ran:
    """Run a page; figures are written to the folder of images, or nowhere."""
    text = page.read_text(encoding="utf-8")
    running = Running(page, images, nearly=TRAINED in text)
    problems = []
    for piece in PIECES.finditer(text):
        problem = running.take(piece)
        if problem:
            line = text.count("\n", 0, piece.start()) + 1
            problems.append(f"{page.name}:{line}: {problem}")
        if running.failed:
            break
    left = len(_keep_figures("left", None))
    if left and running.figures:
        problems.append(f"{page.name}: {left} figures are drawn and not shown")
    return Ran(tuple(problems), tuple(running.figures))


@dataclass
class Running:
    """A page while it runs.

    Attributes
    ----------
    page, images
        The page, and the folder for its figures.
    nearly
        Whether numbers may differ a little.
    names, printed, figures
        What the blocks so far have defined, printed and drawn.
    failed
        Whether a block raised an exception.
    """

    page: Path
    images: Path | None
    nearly: bool
    names: dict[str, Any] = field(default_factory=lambda: {"__name__": "__main__"})
    printed: str = ""
    figures: list[tuple[str, ...]] = field(default_factory=list)
    failed: bool = False

    def take(self, piece: re.Match[str]) -> str:
        """Go on by a piece of the page; what is wrong with it, or nothing."""
        if piece["caption"] is not None:
            return self._figure()
        if piece["language"] == "python":
            return self._code(piece["block"])
        if piece["language"] == "text" and not piece["block"].startswith(">>>"):
            return self._output(piece["block"])
        return ""

    def _figure(self) -> str:
        stem = f"{_slug(self.page)}-{len(self.figures) + 1}"
        self.figures.append(_keep_figures(stem, self.images))
        return "" if self.figures[-1] else "no figure was drawn for this line"

    def _code(self, block: str) -> str:
        out = StringIO()
        try:
            with redirect_stdout(out):
                exec(compile(block, str(self.page), "exec"), self.names)
        except Exception as error:  # noqa: BLE001, whatever a page can raise
            self.failed = True
            return f"{type(error).__name__}: {error}"
        self.printed = out.getvalue() or self.printed
        return ""

    def _output(self, block: str) -> str:
        if same(block, self.printed, nearly=self.nearly):
            return ""
        return f"the page shows something else than\n{self.printed}"


def _slug(page: Path) -> str:
    """Name of a page without folders."""
    page = page.resolve().with_suffix("")
    if page.is_relative_to(ROOT / "docs"):
        return "-".join(page.relative_to(ROOT / "docs").parts)
    return page.name


def _keep_figures(stem: str, images: Path | None) -> tuple[str, ...]:
    """Write the open figures, close them, and return their names."""
    if "matplotlib.pyplot" not in sys.modules:
        return ()
    import matplotlib.pyplot as plt

    names = []
    for number in plt.get_fignums():
        names.append(f"{stem}-{len(names) + 1}.png")
        if images is not None:
            figure = plt.figure(number)
            figure.savefig(images / names[-1], dpi=144, bbox_inches="tight")
    plt.close("all")
    return tuple(names)


def same(shown: str, printed: str, *, nearly: bool) -> bool:
    """Whether a page shows what was printed.

    A decimal may differ by one in its last place: ties are rounded by what the machine
    adds up first. With `nearly` any number may differ by a quarter, which held for
    networks in single precision between one core and two.
    """
    shown, printed = _without_steps(shown), _without_steps(printed)
    if _words(shown) != _words(printed):
        return False
    pairs = zip(NUMBER.findall(shown), NUMBER.findall(printed), strict=True)
    return all(
        abs(_value(a) - _value(b))
        <= (max(ABSOLUTE, RELATIVE * abs(_value(a))) if nearly else 1.01 * _place(a))
        for a, b in pairs
    )


def _without_steps(text: str) -> str:
    """Without counts of steps and sizes of errors, which other machines have others."""
    text = re.sub(r"in \d+ Newton", "in some Newton", text)
    return re.sub(r"error \d+e-\d+", "error of some size", text)


def _words(text: str) -> list[str]:
    """What stands between the numbers of a text."""
    return [" ".join(words.split()) for words in NUMBER.split(text)]


def _value(number: str) -> float:
    return float(number.replace(",", ""))


def _place(number: str) -> float:
    """Worth of one in the last decimal place; of whole numbers nothing."""
    digits, _, power = number.partition("e")
    decimals = len(digits.partition(".")[2])
    return 10.0 ** (int(power or 0) - decimals) if decimals else 0.0


def run_once(page: Path, images: Path, version: str) -> Ran:
    """Run a page unless it ran before, without a problem, with the same software."""
    key = hashlib.sha256((version + page.read_text(encoding="utf-8")).encode())
    record = images / f"{_slug(page)}.json"
    if record.exists():
        old = json.loads(record.read_text())
        if old.pop("key") == key.hexdigest():
            return Ran((), tuple(tuple(names) for names in old["figures"]))
    ran = run(page, images)
    if not ran.problems:
        record.write_text(json.dumps({"key": key.hexdigest(), **asdict(ran)}))
    return ran


def version() -> str:
    """Digest of the package's code: pages run again when it changes."""
    digest = hashlib.sha256()
    for file in sorted((ROOT / "ngmm").rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def main() -> int:
    """Run the pages of the command line."""
    os.environ.setdefault("MPLBACKEND", "Agg")
    os.chdir(ROOT)
    found = [problem for page in sys.argv[1:] for problem in run(Path(page)).problems]
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
