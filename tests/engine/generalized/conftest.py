"""Settings of the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ngmm.likelihood import single

PROGRAMS = (single.value, single.evaluate, single.maximise, single.assess)


@pytest.fixture(autouse=True, scope="package")
def quick_programs() -> Iterator[None]:
    """Unoptimised machine code, as for other small data: half the time to compile.

    What is computed is the same; fits of the reference cases run the optimised code.
    """
    with pytest.MonkeyPatch.context() as patch:
        for program in PROGRAMS:
            patch.setattr(program, "heavy", None)
        yield
