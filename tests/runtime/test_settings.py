"""The argument after a config's colon, and configs compared."""

import json
import os

import ml_collections
import pytest

from foregan_jax.runtime import base_config, settings

SPEC = {
  "data": "",
  "smoke": False,
  "size": 4,
  "rate": 0.5,
  "variant": ("a", "b"),
}


def test_defaults_have_every_key():
  for nothing in (None, ""):
    assert settings.parse_arg(nothing, **SPEC).to_dict() == {
      "data": "",
      "smoke": False,
      "size": 4,
      "rate": 0.5,
      "variant": "a",
    }


def test_values_take_the_type_of_their_default():
  arg = settings.parse_arg("data=/x=y,smoke,size=7,rate=2,variant=b", **SPEC)
  assert (arg.data, arg.smoke, arg.size, arg.rate) == ("/x=y", True, 7, 2.0)
  assert isinstance(arg.rate, float)
  assert arg.variant == "b"
  assert settings.parse_arg("smoke=false", **SPEC).smoke is False


@pytest.mark.parametrize(
  "text, sentence",
  [
    ("smok", r"'smok'.*allowed are data, rate, size.*Did you mean 'smoke'\?"),
    ("size=x", "size is 'x', but must be a whole number"),
    ("rate=x", "rate is 'x', but must be a number"),
    ("smoke=maybe", "smoke is 'maybe', but must be true or false"),
    ("variant=c", "variant is 'c', but must be one of a, b"),
    ("size", "'size' .* needs a value"),
    ("smoke,smoke", "'smoke' is given twice"),
  ],
)
def test_mistakes_are_sentences(text, sentence):
  with pytest.raises(ValueError, match=sentence):
    settings.parse_arg(text, **SPEC)


def test_same_config_lists_differences():
  a = ml_collections.ConfigDict({"lr": 0.1, "net": {"size": (1, 2), "x": 1}})
  b = a.copy_and_resolve_references()
  assert settings.same_config(settings.to_json(a), settings.to_json(b)) == []
  b.net.size = (1, 3)
  b.lr = 0.2
  with b.unlocked():
    b.new = "text"
  left, right = settings.to_json(a), settings.to_json(b)
  assert settings.same_config(left, right) == [
    "lr: 0.1 -> 0.2",
    "net.size: [1, 2] -> [1, 3]",
    'new: (absent) -> "text"',
  ]
  assert settings.same_config(left, right, ignore=("net", "new")) == [
    "lr: 0.1 -> 0.2"
  ]
  # A name is ignored as a whole, not as the beginning of another.
  assert len(settings.same_config(left, right, ignore=("ne", "l"))) == 3


def test_load_gives_back_what_was_written(tmp_path):
  config = ml_collections.ConfigDict(
    {"lr": 0.1, "size": (1, 2), "net": {"x": ("a", (1, 2))}}
  )
  path = tmp_path / settings.FILE
  path.write_text(json.dumps(settings.to_json(config)))
  loaded = settings.load(path)
  assert loaded.to_dict() == config.to_dict()
  with pytest.raises(AttributeError):
    loaded.new = 1


@pytest.mark.parametrize(
  "text, sentence",
  [
    ("{", "not valid JSON"),
    ("3", "not a config"),
    (None, "not the workdir of a run"),
    ("", "not valid JSON"),
    ("null", "not a config"),
    ("[1]", "not a config"),
    ('{"a": ' * 10_000 + "1" + "}" * 10_000, "not a config"),
    ('{"a": ' * 100 + "1" + "}" * 100, "not a config.*at most 20 levels"),
    ('{"a": ' + "[" * 10_000 + "]" * 10_000 + "}", "not a config"),
    ('{"a.b": 1}', "not a config"),
    ("\udcff", "not valid JSON"),
  ],
)
def test_load_names_the_file(tmp_path, text, sentence):
  path = tmp_path / settings.FILE
  if text is not None:
    path.write_text(text, errors="surrogateescape")
  with pytest.raises(ValueError, match=rf"config\.json.*{sentence}"):
    settings.load(path)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_load_reads_files_only(tmp_path, make):
  make(tmp_path / settings.FILE)
  with pytest.raises(ValueError, match="config.json is not a file"):
    settings.load(tmp_path / settings.FILE)


@pytest.mark.parametrize(
  "key, value, message",
  [
    ("data", None, "missing keys: data.clip_len, .*unknown keys: none"),
    ("data", [1], "missing keys: data.clip_len"),
    ("data.width", "wide", 'damaged: data.width is "wide", but must be of the'),
    ("data.width", 1.5, "damaged: data.width is 1.5, but must be of"),
    ("system", None, "damaged: system is null"),
    ("system", ["rgmp"], "damaged: system is"),
    ("eval.write_pictures", 1, "damaged: eval.write_pictures is 1"),
    ("ema_decay", "0", "damaged: ema_decay is"),
  ],
)
def test_config_with_values_of_another_type_is_refused(key, value, message):
  fields = settings.to_json(base_config.base())
  *groups, last = key.split(".")
  node = fields
  for group in groups:
    node = node[group]
  node[last] = value
  config = ml_collections.ConfigDict(settings.tuples(fields))
  with pytest.raises(ValueError, match=f"config.json is .*{message}"):
    base_config.check(config, "config.json")


def test_whole_number_is_a_number():
  config = base_config.base()
  config.ema_decay = 0
  fields = settings.to_json(config) | {"ema_decay": 0}
  base_config.check(ml_collections.ConfigDict(fields), "config.json")
