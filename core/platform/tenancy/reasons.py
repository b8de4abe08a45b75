"""Says in plain words what is wrong with a value in a town's file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

_WANTED: Mapping[str, str] = {
    "string_type": "has to be a text, in quotation marks",
    "string_sub_type": "has to be a text, in quotation marks",
    "int_type": "has to be a whole number, without quotation marks",
    "int_parsing": "has to be a whole number, without quotation marks",
    "int_from_float": "has to be a whole number",
    "float_type": "has to be a number, without quotation marks",
    "float_parsing": "has to be a number, without quotation marks",
    "bool_type": "has to be true or false",
    "bool_parsing": "has to be true or false",
    "list_type": 'has to be a list: ["…", "…"]',
    "tuple_type": 'has to be a list: ["…", "…"]',
    "set_type": 'has to be a list: ["…", "…"]',
    "frozen_set_type": 'has to be a list: ["…", "…"]',
    "dict_type": "has to be a table: [section], or {{ key = … }}",
    "mapping_type": "has to be a table: [section], or {{ key = … }}",
    "model_type": "has to be a table: [section], or {{ key = … }}",
    "model_attributes_type": "has to be a table: [section], or {{ key = … }}",
    "date_type": "has to be a day: 2026-09-01",
    "date_parsing": "has to be a day: 2026-09-01",
    "date_from_datetime_parsing": "has to be a day: 2026-09-01",
    "date_from_datetime_inexact": "has to be a day without an hour: 2026-09-01",
    "datetime_type": "has to be a moment: 2026-09-01T12:00:00+02:00",
    "datetime_parsing": "has to be a moment: 2026-09-01T12:00:00+02:00",
    "datetime_from_date_parsing": "has to be a moment: 2026-09-01T12:00:00+02:00",
    "time_type": "has to be an hour: 09:30",
    "time_parsing": "has to be an hour: 09:30",
    "decimal_type": "has to be a number",
    "decimal_parsing": "has to be a number",
    "url_type": "has to be an address: https://…",
    "url_parsing": "has to be an address: https://…",
    "url_scheme": "has to be an address: https://…",
    "string_pattern_mismatch": "is not written as it has to be: {shape}",
    "string_too_short": "is too short: {min_length} character(s) at least",
    "string_too_long": "is too long: {max_length} characters at most",
    "too_short": "needs {min_length} at least, and has {actual_length}",
    "too_long": "may have {max_length} at most, and has {actual_length}",
    "greater_than": "has to be greater than {gt}",
    "greater_than_equal": "has to be {ge} or more",
    "less_than": "has to be less than {lt}",
    "less_than_equal": "has to be {le} or less",
    "multiple_of": "has to be a multiple of {multiple_of}",
    "literal_error": "has to be one of: {expected}",
    "enum": "has to be one of: {expected}",
    "finite_number": "has to be a number",
    "none_required": "may not be set",
    "value_error": "{error}",
    "assertion_error": "{error}",
}
"""Expectations in words, by the kind of error; in braces, what pydantic knows of it."""

SHAPES: Mapping[str, str] = {
    r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$": "small letters, digits and single hyphens",
    r"^[A-Z0-9_]{1,40}$": "capitals, digits and _, 40 at most",
    r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$": "a host name in small letters, such as portail.example.fr",
    r"^[^|\x00-\x1f\x7f]*$": "words on one line, without |",
    r"^#[0-9a-fA-F]{6}$": "a colour such as #1d5c57",
}
"""Patterns of core's own keys, in words; a plugin's that is not here is shown as it is."""


def reason(error: Mapping[str, Any], model: type[BaseModel]) -> str:
    """Say what is wrong: one error of ``ValidationError.errors()`` of `model`."""
    kind, place = error["type"], error["loc"]
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        known = sorted(_keys(model, place[:-1]))
        meant = get_close_matches(str(place[-1]), known, 1)
        if meant:
            return f"is not a known key: is {meant[0]} meant?"
        return f"is not a known key; known: {', '.join(known)}"
    words = _WANTED.get(kind)
    if words is None:
        return str(error["msg"])
    told = dict(error.get("ctx") or {})
    if "pattern" in told:
        told["shape"] = SHAPES.get(told["pattern"], told["pattern"])
    return words.format_map(told)


def _keys(model: type[BaseModel], place: Sequence[int | str]) -> set[str]:
    """The keys that may stand at `place`; none where any may."""
    found: set[str] = set()
    for kind in _kinds(model, place):
        found |= set(kind.model_fields)
    return found


def _kinds(annotation: Any, place: Sequence[int | str]) -> Iterable[type[BaseModel]]:
    """The models whose keys stand at `place` below a value of this type."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _kinds(get_args(annotation)[0], place)
    elif origin in (Union, UnionType):
        for choice in get_args(annotation):
            yield from _kinds(choice, place)
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if not place:
            yield annotation
        elif (field := annotation.model_fields.get(str(place[0]))) is not None:
            yield from _kinds(field.annotation, place[1:])
    elif origin is not None and place:
        for item in get_args(annotation)[-2:]:
            if item is not Ellipsis:
                yield from _kinds(item, place[1:])
