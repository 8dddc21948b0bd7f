"""Damaged data: folders, lists, tables, prepared data, config files."""

import pathlib
from collections.abc import Iterator

from tests.sweep import commands as c
from tests.sweep import damages
from tests.sweep.commands import Case

_CLIP = "davis/JPEGImages/tiny/ant"
_MASKS = "davis/Annotations/tiny/ant"
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
  yield from _config_files()
  yield from _data()
  yield from _stills()
  yield from _prepared()
  yield from _demo()


def _config_files() -> Iterator[Case]:
  for name, damage in damages.FILES.items():
    arguments = ("--config={config}/tiny.py:smoke", "--workdir={out}")
    yield Case(
      f"config file: {name}", "main", arguments, damage, "config/tiny.py"
    )
    if name not in ("with more at the end", "one bit flipped"):
      yield Case(
        f"ablated config file: {name}",
        *c.ABLATE,
        damage,
        "config/tiny.py",
        ("ablation",),
        needs_run=True,
      )


def _data() -> Iterator[Case]:
  """Data folders, by the commands that read them."""
  beside = ("out", "flow_cache")
  readers = {
    "check": (*c.CHECK, beside),
    "clips": (
      "main",
      (c.config_flag("rgmp_davis", "data={davis},smoke"), "--workdir={out}"),
      beside,
    ),
    "prepare": (*c.PREPARE["videos"], beside),
    "evaluate": (
      "evaluate",
      ("--workdir={rgmp}", "--data={davis}"),
      ("runs/rgmp/eval", *_BESIDE),
    ),
  }
  places = {
    "frame": (f"{_CLIP}/00002.jpg", damages.FILES | damages.PICTURES),
    "mask": (f"{_MASKS}/00000.png", damages.FILES | damages.PICTURES),
    "list": ("davis/ImageSets/2016/train.txt", damages.FILES | damages.LISTS),
    "val list": ("davis/ImageSets/2016/val.txt", damages.LISTS),
  }
  for reader, (module, arguments, writes) in readers.items():
    run = reader == "evaluate"
    for kind, (place, changes) in places.items():
      if (kind == "list" and run) or (kind == "val list" and not run):
        continue
      for name, damage in changes.items():
        yield Case(
          f"{reader}, {kind}: {name}",
          module,
          arguments,
          damage,
          place,
          writes,
          run,
        )
    for name, place, damage in _folder_damages():
      yield Case(
        f"{reader}, {name}", module, arguments, damage, place, writes, run
      )


def _folder_damages():
  for name in (
    b"\xff\xfe.jpg",
    b"0000\n.jpg",
    b"x.jpg",
    b"00009.jpg",
    b"\xc2\xb2.jpg",
    b"9" * 240 + b".jpg",
    b"00001.JPG",
  ):
    yield f"a frame named {name[:12]!r}", _CLIP, damages.add_odd_file(name)
  for name in (b"\xff\xfe", b"a\nb", b"..."):
    yield f"a video named {name!r}", _CLIP, damages.rename(name)
  for place in (
    "davis",
    "davis/JPEGImages",
    "davis/Annotations",
    "davis/ImageSets",
    "davis/JPEGImages/tiny",
    _CLIP,
    _MASKS,
  ):
    for name in ("missing", "a link to itself", "text", "a folder"):
      yield f"{place} is {name}", place, damages.FILES[name]

  def keep_one(folder: pathlib.Path) -> None:
    for path in sorted(folder.iterdir())[1:]:
      path.unlink()

  yield "one frame", _CLIP, keep_one
  yield "one mask", _MASKS, keep_one


def _stills() -> Iterator[Case]:
  for root in ("stills", "cub", "voc"):
    words = f"data={{{root}}},smoke"
    train = (
      "main",
      (c.config_flag("layered_gan", words), "--workdir={out}"),
    )
    prepare = ("data.prepared.stills", (f"{{{root}}}", "{out}"))
    picture = {
      "stills": "stills/images/0.a/x0.jpg",
      "cub": "cub/images/0.a/x0.jpg",
      "voc": "voc/JPEGImages/p0.jpg",
    }[root]
    mask = {
      "stills": "stills/segmentations/0.a/x1.png",
      "cub": "cub/segmentations/0.a/x1.png",
      "voc": "voc/SegmentationObject/p2.png",
    }[root]
    for reader, command in (("train", train), ("prepare", prepare)):
      if reader == "train":
        changes = {k: damages.PICTURES[k] for k in list(damages.PICTURES)[:4]}
        changes |= {k: damages.FILES[k] for k in ("empty", "half", "a folder")}
      else:
        changes = damages.FILES | damages.PICTURES
      for place in (picture, mask):
        for name, damage in changes.items():
          yield Case(f"{reader} {place}: {name}", *command, damage, place)
      tables = {
        "stills": {},
        "cub": damages.FILES | damages.TABLES,
        "voc": damages.LISTS,
      }[root]
      for place in (
        ("images.txt", "train_test_split.txt")
        if root == "cub"
        else ("ImageSets/Segmentation/train.txt",)
      ):
        for name, damage in tables.items():
          if reader == "prepare" or name in damages.LISTS | damages.TABLES:
            yield Case(
              f"{reader} {root}/{place}: {name}",
              *command,
              damage,
              f"{root}/{place}",
            )
  voc = {
    "prepare instances": c.PREPARE["instances"],
    "check": ("data.check", ("{voc}",)),
  }
  for reader, command in voc.items():
    for name, damage in damages.LISTS.items():
      yield Case(
        f"{reader} voc list: {name}",
        *command,
        damage,
        "voc/ImageSets/Segmentation/train.txt",
      )
    for name, damage in damages.PICTURES.items():
      yield Case(
        f"{reader} voc mask: {name}",
        *command,
        damage,
        "voc/SegmentationObject/p0.png",
      )


def _prepared() -> Iterator[Case]:
  """Prepared data; their files are damaged one by one."""
  users = {
    "videos": c.config_flag("rgmp_davis", "data={davis},smoke"),
    "stills": c.config_flag(
      "layered_gan", "data={prepared}/stills/1.0.0,smoke"
    ),
    "instances": c.config_flag(
      "rgmp_voc",
      "data={prepared}/instances/1.0.0,videos={davis},smoke",
    ),
  }
  for kind, config in users.items():
    extra = (
      ("--config.data.train_root={prepared}/videos/1.0.0",)
      if kind == "videos"
      else ()
    )
    arguments = (config, "--workdir={out}", *extra)
    files = [
      "dataset_info.json",
      "features.json",
      f"{kind}-train.array_record-00000-of-00001",
    ]
    for file in files:
      changes = damages.FILES
      if file.endswith(".json"):
        changes = changes | damages.JSONS
      for name, damage in changes.items():
        yield Case(
          f"prepared {kind}/{file}: {name}",
          "main",
          arguments,
          damage,
          f"prepared/{kind}/1.0.0/{file}",
          ("out", "flow_cache"),
        )


def _demo() -> Iterator[Case]:
  for name, damage in (damages.FILES | damages.JSONS).items():
    if name not in ("missing", "a dangling link"):  # renders for a minute
      yield Case(
        f"demo, demo.json: {name}",
        "demo.dataset",
        ("{demo}",),
        damage,
        "demo/demo.json",
        ("demo",),
      )
