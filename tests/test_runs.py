"""Damaged files of a run, beside its arrays (`runtime/test_restore.py`)."""

import json
import types

import pytest

from configs import davis, rgmp_davis
from foregan_jax import game, runs
from foregan_jax.runtime import checksums, settings


@pytest.mark.parametrize(
  "data",
  [
    {}, {"next_index": None}, {"next_index": "one"}, {"next_index": -5},
    {"next_index": 1.5}, {"next_index": 10**41}, {"next_index": [1]},
    {"next_index": True},
  ],
)  # fmt: skip
def test_damaged_position_of_the_data_is_damage(monkeypatch, tmp_path, data):
  monkeypatch.setattr(runs.items, "split", lambda *_: {})
  monkeypatch.setattr(runs.items, "join", lambda state, trees: state)
  monkeypatch.setattr(runs.restore, "load_items", lambda *_: {})
  found = {"next_index": 3}
  monkeypatch.setattr(runs.restore, "load_json", lambda *_: found)
  state = game.State(0, {}, {}, {}, {}, {})
  assert runs.load_state(tmp_path, 3, None, state) == (state, found)
  found = data
  with pytest.raises(checksums.DamagedError, match="3 is damaged: next_index"):
    runs.load_state(tmp_path, 3, None, state)


def _remove(fields, key):
  *groups, last = key.split(".")
  for group in groups:
    fields = fields[group]
  del fields[last]


@pytest.mark.parametrize(
  "change, message",
  [
    (lambda c: _remove(c, "rollout.bg_init"), "bg_init"),
    (lambda c: _remove(c, "nets"), "nets"),
    (lambda c: c.update(nets=5), "int"),
    (lambda c: c.update(system="rgmp"), "damaged"),
    (lambda c: c.update(area_band=None), "damaged"),
  ],
)
def test_config_of_another_system_is_one_sentence(tmp_path, change, message):
  fields = settings.to_json(davis.get_config("smoke"))
  change(fields)
  (tmp_path / settings.FILE).write_text(json.dumps(fields))
  with pytest.raises(ValueError, match="config.json is damaged, or") as error:
    _ = runs.Run(tmp_path).system
  assert message in str(error.value) and "\n" not in str(error.value)


def test_rgmp_run_called_foregan_is_one_sentence(tmp_path):
  fields = settings.to_json(rgmp_davis.get_config("smoke"))
  fields["system"] = "foregan"
  (tmp_path / settings.FILE).write_text(json.dumps(fields))
  with pytest.raises(ValueError, match="config.json is damaged, or the config"):
    _ = runs.Run(tmp_path).system


@pytest.mark.parametrize("text", ["", "null", "[1]", "7", "[" * 5000, "\udcff"])
def test_damaged_hashes_of_frozen_nets_are_named(tmp_path, text):
  frozen = types.SimpleNamespace(load=lambda: {}, source="a file")
  system = types.SimpleNamespace(frozen={"vgg": frozen})
  path = tmp_path / runs.FROZEN
  path.write_text(text, errors="surrogateescape")
  with pytest.raises(ValueError, match="frozen.json is damaged: expected the"):
    runs.load_frozen(system, tmp_path)
