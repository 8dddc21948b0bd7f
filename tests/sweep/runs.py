"""Damaged runs: configs, metrics, checkpoints, ablations."""

import functools
import os
from collections.abc import Iterator

from tests.sweep import commands as c
from tests.sweep import damages
from tests.sweep.commands import Case

# Entries that a command may write beside the folder that it is given.
_BESIDE = (
  "runs/flow_cache",
  "runs/demo_data",
  "runs/demo_stills",
  "runs/demo_clips",
  "runs/demo_faces",
)


def cases() -> Iterator[Case]:
  """Yield all cases."""
  yield from _runs()
  yield from _ablations()


def _runs() -> Iterator[Case]:
  """Files of a run, by the commands that read it."""
  users = {
    "evaluate": (*c.EVALUATE, ("runs/rgmp/eval", *_BESIDE)),
    "track": (*c.TRACK, ("out",)),
    "resume": (
      "main",
      (c.config_flag("rgmp_davis"), "--workdir={rgmp}", "--config.num_steps=4"),
      ("runs/rgmp", *_BESIDE),
    ),
    "init_from": (
      "main",
      (
        c.config_flag("rgmp_davis"),
        "--workdir={out}",
        "--config.init_from.workdir={rgmp}",
      ),
      ("out", *_BESIDE),
    ),
  }
  settings_changes = {
    "without system": damages.drop_key("system"),
    "without data": damages.drop_key("data"),
    "without data.width": damages.drop_key("data.width"),
    "data is null": damages.set_key("data", None),
    "data is a list": damages.set_key("data", [1]),
    "system is null": damages.set_key("system", None),
    "of another system": damages.set_key("system", "foregan"),
    "of an unknown system": damages.set_key("system", "segan"),
    "system is a list": damages.set_key("system", ["rgmp"]),
    "a text as width": damages.set_key("data.width", "wide"),
    "an odd key": damages.set_key("data.a b\n", 1),
    "a dotted key": damages.set_key("optim.a", {"b.c": 1}),
    "nets is a number": damages.set_key("prop", 5),
    "without optim": damages.drop_key("optim"),
    "optim is empty": damages.set_key("optim", {}),
    "a huge width": damages.set_key("data.width", 10**12),
    "NaN": damages.set_key("ema_decay", float("nan")),
  }
  for user, (module, arguments, writes) in users.items():
    items: dict[str, dict] = {
      "config.json": damages.FILES | damages.JSONS | settings_changes
    }
    if user == "resume":
      items["metrics.jsonl"] = (
        damages.FILES
        | damages.JSONS
        | {
          "lists": damages.write(b"[1]\n" * 5),
          "steps of text": damages.write(b'{"step": "one"}\n' * 5),
        }
      )
      items["checkpoints/3/data/metadata"] = (
        damages.FILES
        | damages.JSONS
        | {
          "a text": damages.write(b'{"next_index": "one"}'),
          "negative": damages.write(b'{"next_index": -5}'),
          "a fraction": damages.write(b'{"next_index": 1.5}'),
          "huge": damages.write(b'{"next_index": 1' + b"0" * 40 + b"}"),
          "a list": damages.write(b'{"next_index": [1]}'),
        }
      )
    keys = ["checkpoints/3/checksums/metadata", "checkpoints/3/metrics/metrics"]
    if user != "init_from":
      for place in keys[: 2 if user == "evaluate" else 1]:
        items[place] = damages.FILES | damages.JSONS
      items["checkpoints/3/propagator"] = damages.FOLDERS
    items["checkpoints/3/propagator/_METADATA"] = {
      k: damages.FILES[k]
      for k in ("missing", "empty", "half", "a folder", "a link to itself")
    } | {k: damages.JSONS[k] for k in ("null", "deep lists", "a list")}
    items["checkpoints"] = damages.FOLDERS
    items["checkpoints/3"] = damages.FOLDERS
    for file, changes in items.items():
      for name, damage in changes.items():
        yield Case(
          f"{user}, {file}: {name}",
          module,
          arguments,
          damage,
          f"runs/rgmp/{file}",
          writes,
          needs_run=True,
        )
  for user in ("evaluate", "resume"):
    module, arguments, writes = users[user]
    for place in ("eval", "samples", ".lock"):
      yield Case(
        f"{user}, {place} is a file",
        module,
        arguments,
        damages.write(b"x"),
        f"runs/rgmp/{place}",
        (*writes, "runs/rgmp/samples", "runs/rgmp/.lock"),
        needs_run=True,
      )


def _ablations() -> Iterator[Case]:
  module, arguments = c.ABLATE
  make = functools.partial(
    Case, module=module, writes=("ablation/table.md",), needs_run=True
  )
  for place in ("metrics.jsonl", "config.json"):
    for name, damage in (damages.FILES | damages.JSONS).items():
      # A run without metrics is trained again, which takes a minute.
      if name not in ("missing", "a dangling link"):
        yield make(
          f"ablate, {place}: {name}",
          arguments=arguments,
          damage=damage,
          place=f"ablation/full/{place}",
          writes=("ablation",),
        )
  yield make(
    "ablate, the folder is a file",
    arguments=arguments,
    damage=damages.write(b"x"),
    place="ablation",
  )
  yield make(
    "ablate, table.md is a folder",
    arguments=arguments,
    damage=damages.FILES["a folder"],
    place="ablation/table.md",
  )
  for name, target in {
    "README.md": os.path.join(c.ROOT, "README.md"),
    "a folder": "{mask}",
    "a picture": "{mask}/mask.png",
  }.items():
    yield make(
      f"ablate, the config is {name}",
      writes=(),
      arguments=(f"--config={target}", "--out={out}"),
      needs_run=False,
    )
