"""The examples of docs/command-line.md run, and print what the page shows."""

from __future__ import annotations

import re
import shlex
import subprocess
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

from ngmm.command_line import main

PAGE = Path(__file__).parents[2] / "docs" / "command-line.md"
# A command, outside of quotes, and what may follow it: its output to a program or a
# file, or what is done if it fails.
LINE = re.compile(r"""((?:[^"']|"[^"]*"|'[^']*')*?)(?: (\|\||\||>) (.*))?""")


def examples() -> list[tuple[str, str]]:
    """Blocks of commands, each with the block of output that follows it, or nothing."""
    blocks = re.findall(
        r"```sh\n(.*?)```(?:\n\n```text\n(.*?)```)?", PAGE.read_text(), re.DOTALL
    )
    return [(commands, output) for commands, output in blocks]


def run(line: str) -> str:
    """Run a line as a shell does, ngmm in this process: to import it takes seconds."""
    if not line.startswith("ngmm "):
        return shell(line)
    found = LINE.fullmatch(line)
    assert found is not None, line
    command, *rest = found.groups()
    out, errors = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(errors):
        status = main(shlex.split(command)[1:])
    match rest:
        case ["|", program]:
            return errors.getvalue() + shell(program, out.getvalue())
        case [">", file]:
            Path(file).write_text(out.getvalue())
            return errors.getvalue()
        case ["||", other] if status:
            return errors.getvalue() + shell(f"(exit {status}) || {other}")
        case _:
            return out.getvalue() + errors.getvalue()


def shell(line: str, given: str = "") -> str:
    done = subprocess.run(
        ["sh", "-c", line], input=given, capture_output=True, text=True, check=True
    )
    return done.stdout + done.stderr


def comparable(text: str) -> str:
    """Without the number of steps, which rounding may change on another machine."""
    return re.sub(r"in \d+ Newton", "in some Newton", text)


@pytest.mark.docs
@pytest.mark.slow
def test_the_page_shows_what_its_commands_print(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = examples()
    assert len(found) > 5
    for commands, expected in found:
        printed = "".join(run(line) for line in commands.splitlines())
        assert comparable(printed) == comparable(expected), commands
