"""Arrays as members of a file: ``.npy`` without pickles, sizes checked first."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["KINDS", "array_bytes", "array_from", "scalar_from", "scalar_text"]

# Numbers, booleans, text of fixed width, dates and durations: no objects, no records.
KINDS = "biufcSUmM"


def array_bytes(array: NDArray[Any]) -> bytes:
    """Return an array as a ``.npy`` file.

    The order of its axes in memory is kept: sums in another order differ in their last
    bits.

    Raises
    ------
    TypeError
        If its values are not of fixed size.
    """
    if array.dtype.kind not in KINDS:
        raise TypeError(f"an array of {array.dtype}")
    out = io.BytesIO()
    np.lib.format.write_array(out, array, allow_pickle=False)
    return out.getvalue()


def array_from(contents: bytes) -> NDArray[Any]:
    """Return the array of a ``.npy`` file.

    Raises
    ------
    ValueError
        If it is none, or declares another size than it has.
    """
    source = io.BytesIO(contents)
    version = np.lib.format.read_magic(source)
    if version == (1, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(source)
    elif version == (2, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_2_0(source)
    else:
        raise ValueError(f"an array in version {version} of its format")
    data = contents[source.tell() :]
    if dtype.kind not in KINDS or min(shape, default=0) < 0:
        raise ValueError(f"an array of {dtype} of shape {shape}")
    # Before anything of the declared size is made.
    if math.prod(shape) * dtype.itemsize != len(data):
        raise ValueError(f"{len(data)} bytes for an array of shape {shape}")
    # A dtype without width has no bytes to read.
    flat = np.frombuffer(data, dtype) if data else np.empty(math.prod(shape), dtype)
    return flat.reshape(shape, order="F" if fortran else "C").copy(order="K")


def scalar_text(value: np.generic) -> list[str]:
    """Return the type and the bits of a scalar.

    Raises
    ------
    TypeError
        If it is not of fixed size.
    """
    if value.dtype.kind not in KINDS:
        raise TypeError(f"a scalar of {value.dtype}")
    return [value.dtype.str, value.tobytes().hex()]


def scalar_from(text: list[str]) -> np.generic:
    """Return the scalar of such a text.

    Raises
    ------
    ValueError
        If it is none.
    """
    kind, bits = text
    dtype = np.dtype(kind)
    if dtype.kind not in KINDS:
        raise ValueError(f"a scalar of {dtype}")
    (value,) = np.frombuffer(bytes.fromhex(bits), dtype)
    return value
