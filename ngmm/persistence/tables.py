"""Indexes, columns and frames of pandas, with their types; other frames become pandas.

A column is stored by its type: numbers and dates as arrays, text and categories as
codes into their distinct values, nullable numbers as values and a mask.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from ngmm.persistence.codec import Decoder, Encoder, NotStorableError
from ngmm.persistence.withheld import Withheld

__all__ = [
    "decode_frame",
    "decode_index",
    "decode_series",
    "decode_values",
    "encode_foreign",
    "encode_frame",
    "encode_index",
    "encode_series",
    "encode_values",
    "is_foreign",
]

# Types of pandas whose names say all that is needed to make them again.
_MASKED = ("Int", "UInt", "Float", "boolean")


def encode_index(encoder: Encoder, index: pd.Index, place: str) -> Any:
    """Return the contents of the node of an index."""
    names = encoder(list(index.names), f"{place}.names")
    if isinstance(index, pd.RangeIndex):
        return {"range": [index.start, index.stop, index.step], "names": names}
    if isinstance(index, pd.MultiIndex):
        levels = [encode_index(encoder, level, place) for level in index.levels]
        codes = [encoder(np.asarray(c), place) for c in index.codes]
        return {"levels": levels, "codes": codes, "names": names}
    return {"values": encode_values(encoder, index.array, place), "names": names}


def decode_index(decoder: Decoder, body: Any) -> pd.Index:
    """Return the index of a node."""
    names = decoder(body["names"])
    if "range" in body:
        index: pd.Index = pd.RangeIndex(*body["range"])
    elif "levels" in body:
        index = pd.MultiIndex(
            levels=[decode_index(decoder, level) for level in body["levels"]],
            codes=[decoder(codes) for codes in body["codes"]],
        )
    else:
        values = decode_values(decoder, body["values"])
        # Without its own type pandas would guess one from the objects.
        index = pd.Index(values, dtype=values.dtype, copy=False)
    return index.set_names(names)


def encode_series(encoder: Encoder, series: pd.Series, place: str) -> Any:
    """Return the contents of the node of a column."""
    return {
        "values": encode_values(encoder, series.array, place),
        "index": encode_index(encoder, series.index, f"{place}.index"),
        "name": encoder(series.name, f"{place}.name"),
    }


def decode_series(decoder: Decoder, body: Any) -> pd.Series:
    """Return the column of a node."""
    values = decode_values(decoder, body["values"])
    index = decode_index(decoder, body["index"])
    name = decoder(body["name"])
    return pd.Series(values, index=index, name=name, dtype=values.dtype, copy=False)


def encode_frame(encoder: Encoder, frame: pd.DataFrame, place: str) -> Any:
    """Return the contents of the node of a frame."""
    columns = (frame.iloc[:, i] for i in range(frame.shape[1]))
    return {
        "columns": encode_index(encoder, frame.columns, f"{place}.columns"),
        "index": encode_index(encoder, frame.index, f"{place}.index"),
        "values": [
            encode_values(encoder, column.array, f"{place}[{name!r}]")
            for name, column in zip(frame.columns, columns, strict=True)
        ],
    }


def decode_frame(decoder: Decoder, body: Any) -> pd.DataFrame:
    """Return the frame of a node."""
    index = decode_index(decoder, body["index"])
    values = (decode_values(decoder, node) for node in body["values"])
    # Numbers for names, since two columns may have one name.
    numbered = {
        i: pd.Series(v, index=index, dtype=v.dtype, copy=False)
        for i, v in enumerate(values)
    }
    frame = pd.DataFrame(numbered, index=index)
    frame.columns = decode_index(decoder, body["columns"])
    return frame


def is_foreign(data: Any) -> bool:
    """Whether data are a frame of another library that narwhals reads."""
    known = (pd.DataFrame, Mapping, Withheld)
    if isinstance(data, known) or not hasattr(data, "columns"):
        return False
    import narwhals as nw

    return nw.from_native(data, eager_only=True, pass_through=True) is not data


def encode_foreign(encoder: Encoder, data: Any, place: str) -> Any:
    """Return the contents of the node of a frame as `ngmm.fit` reads it."""
    from ngmm.design.frame import read_frame

    frame = read_frame(data, [str(name) for name in data.columns])
    return encode_frame(encoder, pd.DataFrame(dict(frame.columns)), place)


def encode_values(encoder: Encoder, values: Any, place: str) -> Any:
    """Return the node of the values of a column or an index.

    Raises
    ------
    NotStorableError
        If a value is neither a number, a text, a date nor missing.
    """
    if isinstance(values, pd.arrays.NumpyExtensionArray):
        values = values.to_numpy()
    if isinstance(values.dtype, pd.ArrowDtype):
        return _encode_arrow(encoder, values, place)
    dtype = values.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        categories = encode_index(encoder, values.categories, place)
        codes = encoder(np.asarray(values.codes), place)
        return {"categories": categories, "codes": codes, "ordered": values.ordered}
    if isinstance(dtype, pd.StringDtype):
        missing = "nan" if isinstance(dtype.na_value, float) else "NA"
        return {"text": _coded(encoder, values, place), "missing": missing}
    if isinstance(dtype, pd.DatetimeTZDtype):
        instants = np.asarray(values.asi8)
        return {"instants": encoder(instants, place), "dtype": str(dtype)}
    if isinstance(dtype, np.dtype) and dtype.kind != "O":
        return {"plain": encoder(np.asarray(values), place)}
    if str(dtype).startswith(_MASKED):
        mask = np.asarray(pd.isna(values), dtype=bool)
        kind = getattr(dtype, "numpy_dtype", np.dtype(bool))
        numbers = values.to_numpy(dtype=kind, na_value=kind.type(0))
        parts = [encoder(numbers, place), encoder(mask, place)]
        return {"masked": parts, "dtype": str(dtype)}
    if isinstance(dtype, np.dtype):
        return _encode_objects(encoder, values, place)
    raise NotStorableError(place, values[0] if len(values) else values)


def decode_values(decoder: Decoder, node: Any) -> Any:
    """Return the values of a node: an array of numpy or of pandas."""
    if "categories" in node:
        categories = decode_index(decoder, node["categories"])
        dtype = pd.CategoricalDtype(categories, ordered=node["ordered"])
        return pd.Categorical.from_codes(decoder(node["codes"]), dtype=dtype)
    if "text" in node:
        missing = np.nan if node["missing"] == "nan" else pd.NA
        return _as_text(_decoded(decoder, node["text"], missing), missing)
    if "instants" in node:
        dtype = pd.DatetimeTZDtype.construct_from_string(str(node["dtype"]))
        instants = decoder(node["instants"])
        naive = pd.DatetimeIndex(instants.view(f"M8[{dtype.unit}]"))
        return naive.tz_localize("UTC").tz_convert(dtype.tz).array
    if "plain" in node:
        return decoder(node["plain"])
    if "masked" in node:
        numbers, mask = (decoder(part) for part in node["masked"])
        array = pd.array(numbers, dtype=node["dtype"])
        array[mask] = pd.NA
        return array
    if "arrow" in node:
        own, dtype = decode_values(decoder, node["arrow"]), _arrow_type(node["type"])
        return own if dtype is None else pd.Series(own).astype(dtype).array
    return _decode_objects(decoder, node)


def _as_text(words: Any, missing: Any) -> Any:
    if missing is pd.NA:
        return pd.array(words, dtype=pd.StringDtype())
    try:
        return pd.array(words, dtype=pd.StringDtype(na_value=np.nan))
    # Before pandas 2.3, text whose missing value is NaN was a column of objects.
    except TypeError:
        return words


def _encode_arrow(encoder: Encoder, values: Any, place: str) -> Any:
    """Return the node of a column that pyarrow holds, by the same type of pandas."""
    own = pd.Series(values).convert_dtypes(dtype_backend="numpy_nullable").array
    kind = str(values.dtype.pyarrow_dtype)
    if isinstance(own.dtype, pd.ArrowDtype) or not _arrow_type(kind):
        raise NotStorableError(place, values[0])
    return {"arrow": encode_values(encoder, own, place), "type": kind}


def _arrow_type(kind: str) -> Any:
    """The type of a name; None if there is none, or no pyarrow."""
    try:
        import pyarrow as pa

        return pd.ArrowDtype(pa.type_for_alias(kind))
    except (ImportError, ValueError):
        return None


def _encode_objects(encoder: Encoder, values: Any, place: str) -> Any:
    """Return the node of objects: text as codes, everything else one by one."""
    objects = np.asarray(values, dtype=object)
    if all(type(v) is str for v in objects):
        return {"words": _coded(encoder, objects, place)}
    nodes = [
        {"NA": None} if v is pd.NA else encoder(v, f"{place}[{i}]")
        for i, v in enumerate(objects)
    ]
    return {"objects": nodes}


def _decode_objects(decoder: Decoder, node: Any) -> Any:
    if "words" in node:
        return _decoded(decoder, node["words"], None)
    nodes = node["objects"]
    objects = np.empty(len(nodes), dtype=object)
    for i, part in enumerate(nodes):
        objects[i] = pd.NA if part == {"NA": None} else decoder(part)
    return objects


def _coded(encoder: Encoder, values: Any, place: str) -> Any:
    """Return distinct texts, and the position of each value among them."""
    codes, words = pd.factorize(np.asarray(values, dtype=object))
    return [list(map(str, words)), encoder(codes.astype(np.int32), place)]


def _decoded(decoder: Decoder, body: Any, missing: Any) -> Any:
    """Return texts from codes; -1 is a missing value."""
    words, codes = body[0], decoder(body[1])
    if not all(isinstance(word, str) for word in words):
        raise ValueError("text that is no text")
    known = np.array([*words, missing], dtype=object)
    return known[codes]
