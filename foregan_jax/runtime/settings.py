"""Config arguments after the colon, configs as JSON, and their comparison.

`--config=configs/davis.py:data=/datasets/DAVIS,variant=v10,smoke` passes the
text after the colon to the file's `get_config(arg)`, which parses it here.
"""

import dataclasses
import difflib
import json
import os
import typing
from collections.abc import Mapping
from typing import Any

import ml_collections

from foregan_jax import storage

# The file in a workdir that holds the run's config.
FILE = "config.json"

_TRUE = ("true", "yes", "1")
_FALSE = ("false", "no", "0")
_NOTHING = "(absent)"
_MAX_DEPTH = 20  # of a config file; configs have up to 5 levels


def closest(name: str, allowed: list[str]) -> str | None:
  """Return the allowed name most similar to `name`, or None."""
  return next(iter(difflib.get_close_matches(name, allowed, n=1)), None)


def suggestion(name: str, allowed: list[str]) -> str:
  """Return " Did you mean 'x'?" for the closest name, or nothing."""
  close = closest(name, allowed)
  return f" Did you mean {close!r}?" if close else ""


def parse_arg(arg: str | None, **spec: Any) -> ml_collections.ConfigDict:
  """Parse the text after a config's colon, strictly.

  Commas separate the entries. `key=value` is converted to the type of the
  key's default; `key` alone sets a bool to True. A tuple of strings lists the
  allowed values; its first entry is the default.

  Args:
    arg: the text; None or "" means no entry.
    **spec: every key with its default (a bool, int, float or str), or with a
      tuple of allowed strings.

  Returns:
    A config with every key of `spec`.

  Raises:
    ValueError: for an unknown or repeated key or a value of another type.
  """
  values = {k: v[0] if isinstance(v, tuple) else v for k, v in spec.items()}
  seen = set()
  for entry in filter(None, (arg or "").split(",")):
    key, equals, text = entry.partition("=")
    if key not in spec:
      raise ValueError(
        f"unknown word {key!r} after the config's colon: allowed are "
        f"{', '.join(sorted(spec))}.{suggestion(key, sorted(spec))}"
      )
    if key in seen:
      raise ValueError(f"{key!r} is given twice after the config's colon.")
    seen.add(key)
    if not equals and not isinstance(spec[key], bool):
      raise ValueError(
        f"{key!r} after the config's colon needs a value: {key}=..."
      )
    values[key] = _convert(key, text if equals else "true", spec[key])
  return ml_collections.ConfigDict(values)


def _convert(key: str, text: str, default: Any) -> Any:
  if isinstance(default, tuple):
    if text not in default:
      raise ValueError(
        f"{key} is {text!r}, but must be one of {', '.join(default)}."
        f"{suggestion(text, list(default))}"
      )
    return text
  if isinstance(default, bool):
    if text.lower() not in _TRUE + _FALSE:
      raise ValueError(f"{key} is {text!r}, but must be true or false.")
    return text.lower() in _TRUE
  try:
    return type(default)(text)
  except ValueError:
    kind = {int: "a whole number", float: "a number"}[type(default)]
    raise ValueError(f"{key} is {text!r}, but must be {kind}.") from None


def to_json(config: ml_collections.ConfigDict) -> dict[str, Any]:
  """Return the config as plain JSON values: dicts, and lists for tuples."""
  return json.loads(config.to_json_best_effort())


def load(path: str | os.PathLike) -> ml_collections.ConfigDict:
  """Read a config written by `to_json`; return it locked, lists as tuples.

  Raises:
    ValueError: if the file is missing or not a config.
  """
  path = storage.open_path(path)
  if path.exists() and not path.is_file():
    raise ValueError(f"{path} is not a file, so it is not a config.")
  try:
    return from_text(path.read_text(encoding="utf-8"), path)
  except FileNotFoundError:
    raise ValueError(
      f"{path} does not exist: this is not the workdir of a run."
    ) from None
  except UnicodeDecodeError as error:
    raise ValueError(f"{path} is not valid JSON: {error}") from error


def from_text(text: str, path: str | os.PathLike) -> ml_collections.ConfigDict:
  """Return the config in a JSON text; see `load`.

  Raises:
    ValueError: naming `path`, if the text is not a config.
  """
  try:
    fields = json.loads(text)
  except ValueError as error:
    raise ValueError(f"{path} is not valid JSON: {error}") from error
  except RecursionError:
    fields = None
  if not isinstance(fields, dict) or not _is_shallow(fields, _MAX_DEPTH):
    raise ValueError(
      f"{path} is not a config: expected a JSON object, nested at most "
      f"{_MAX_DEPTH} levels deep."
    )
  try:
    return ml_collections.ConfigDict(tuples(fields)).lock()
  except (KeyError, ValueError, TypeError) as error:  # of a name
    raise ValueError(f"{path} is not a config: {error}") from error


def _is_shallow(value: Any, depth: int) -> bool:
  """Return whether nested values have at most `depth` levels."""
  if not isinstance(value, (dict, list)):
    return True
  inner = value.values() if isinstance(value, dict) else value
  return depth > 0 and all(_is_shallow(x, depth - 1) for x in inner)


def tuples(value: Any) -> Any:
  """Return nested values with lists as tuples, which are hashable."""
  if isinstance(value, dict):
    return {k: tuples(v) for k, v in value.items()}
  if isinstance(value, list):
    return tuple(map(tuples, value))
  return value


def build(kind: type, values: Mapping[str, Any]) -> Any:
  """Build a dataclass from nested config values; lists become tuples.

  Args:
    kind: the dataclass; fields that are dataclasses take nested values.
    values: by field.

  Raises:
    ValueError: naming an unknown or missing field.
  """
  types = typing.get_type_hints(kind)
  names = [field.name for field in dataclasses.fields(kind)]
  for name in values:
    if name not in names:
      raise ValueError(
        f"{kind.__name__} has no field {name!r}; the fields are "
        f"{', '.join(names)}.{suggestion(name, names)}"
      )
  missing = [
    field.name
    for field in dataclasses.fields(kind)
    if field.name not in values and field.default is dataclasses.MISSING
  ]
  if missing:
    raise ValueError(f"{kind.__name__} lacks the fields {missing}")
  nested = lambda name: dataclasses.is_dataclass(types[name])
  return kind(
    **{
      name: build(types[name], value) if nested(name) else tuples(value)
      for name, value in values.items()
    }
  )


def same_config(
  a: Mapping[str, Any], b: Mapping[str, Any], *, ignore: tuple[str, ...] = ()
) -> list[str]:
  """List the differences of two configs in the form of `to_json`.

  Args:
    a: the first config.
    b: the second config.
    ignore: dotted names ("num_steps", "eval") that may differ, with all keys
      below them.

  Returns:
    Lines "name: value in a -> value in b", sorted; empty if they are equal.
  """
  left, right = flatten(a), flatten(b)
  lines = []
  for name in sorted({*left, *right}):
    if any(f"{name}.".startswith(f"{skip}.") for skip in ignore):
      continue
    before, after = left.get(name, _NOTHING), right.get(name, _NOTHING)
    if before != after:
      lines.append(f"{name}: {before} -> {after}")
  return lines


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
  """Return the values of a nested config as JSON, by dotted name."""
  flat = {}
  for key, value in config.items():
    name = f"{prefix}{key}"
    if isinstance(value, Mapping) and value:
      flat.update(flatten(value, f"{name}."))
    else:
      flat[name] = json.dumps(value)
  return flat
