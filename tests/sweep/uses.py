"""Damaged inputs and outputs of `predict`; outputs of every program."""

from collections.abc import Iterator

from tests.sweep import commands as c
from tests.sweep import damages
from tests.sweep.commands import Case


def cases() -> Iterator[Case]:
  """Yield all cases."""
  yield from _videos()
  yield from _animations()
  yield from _outputs()


def _videos() -> Iterator[Case]:
  """Inputs of the verbs of `predict`."""
  pictures = damages.FILES | damages.PICTURES
  inputs: c.Inputs = {
    "frame": ("video/00002.jpg", pictures),
    "first frame": ("video/00000.jpg", damages.PICTURES),
    "mask": ("mask/mask.png", pictures),
    "video": ("video", damages.FOLDERS),
  }
  yield from c.damaged_inputs("track", c.TRACK, inputs, needs_run=True)
  module, arguments = c.TRACK
  clip = tuple(
    "--video={clip}/clip.mp4" if a.startswith("--video") else a
    for a in arguments
  )
  inputs = {"clip": ("clip/clip.mp4", damages.FILES)}
  yield from c.damaged_inputs("track", (module, clip), inputs, needs_run=True)
  for name in (
    b"\xff\xfe.jpg",
    b"0000\n.jpg",
    b"a\0b.jpg".replace(b"\0", b" "),
    b"x" * 240 + b".jpg",
    b"00001.JPG",
    b"9" * 5000 + b".jpg",
  ):
    if len(name) < 255:
      yield Case(
        f"track, a frame named {name[:12]!r}",
        module,
        arguments,
        damages.add_odd_file(name),
        "video",
        needs_run=True,
      )
  weights = tuple(a for a in arguments if not a.startswith("--workdir"))
  weights += ("--weights={mask}/mask.png",)
  inputs = {"weights": ("mask/mask.png", damages.FILES)}
  command = (module, weights)
  yield from c.damaged_inputs("track", command, inputs, needs_run=True)
  inputs = {
    "picture": ("stills/images/0.a/x1.jpg", pictures),
    "folder": ("stills/images", damages.FOLDERS),
  }
  yield from c.damaged_inputs("cutout", c.CUTOUT, inputs, needs_run=True)
  module, arguments = c.CUTOUT
  for name in (b"\xff\xfe.jpg", b"a\nb.jpg", b"x1.png", b"x" * 250):
    yield Case(
      f"cutout, named {name[:12]!r}",
      module,
      arguments,
      damages.add_odd_file(name),
      "stills/images/0.a",
      needs_run=True,
    )
  # Results of an earlier call.
  again = tuple(
    "--out={tracked}" if a.startswith("--out") else a for a in c.TRACK[1]
  )
  for place in (
    "resume.npz",
    "confidence.csv",
    "masks/00003.png",
    "overlay.webp",
  ):
    for name, damage in damages.FILES.items():
      yield Case(
        f"track again, {place}: {name}",
        "predict",
        again,
        damage,
        f"tracked/{place}",
        ("tracked",),
        needs_run=True,
      )
  for seconds in (0.3, 1.0, 1.6):
    yield Case(
      f"track is stopped after {seconds} s",
      *c.TRACK,
      terminate_after=seconds,
      needs_run=True,
    )


def _animations() -> Iterator[Case]:
  """Inputs of `predict animate`."""
  pictures = damages.FILES | damages.PICTURES
  inputs: c.Inputs = {
    "source": ("stills/images/0.a/x1.jpg", pictures),
    "frame": ("video/00002.jpg", damages.PICTURES),
    "first frame": ("video/00000.jpg", pictures),
    "driving": ("video", damages.FOLDERS),
    "background": ("voc/JPEGImages/p0.jpg", pictures),
  }
  yield from c.damaged_inputs("animate", c.ANIMATE, inputs, needs_run=True)


def _outputs() -> Iterator[Case]:
  """An output that is a file, a link, or below a file."""
  users = {
    "train": c.TRAIN,
    "track": c.TRACK,
    "animate": c.ANIMATE,
    "cutout": c.CUTOUT,
    "parts": c.PARTS,
    "filter": c.FILTER,
    "express": c.EXPRESS,
    "sample": c.SAMPLE,
    "dataset": c.DATASET,
    "demo": c.DEMO,
    **{f"prepare {kind}": command for kind, command in c.PREPARE.items()},
  }
  for user, (module, arguments) in users.items():
    run = module == "predict"
    for name in ("text", "a link to itself", "a dangling link", "a device"):
      yield Case(
        f"{user}, the output is {name}",
        module,
        arguments,
        damages.FILES[name],
        "out",
        needs_run=run,
      )
    below = tuple(a.replace("{out}", "{mask}/mask.png/x") for a in arguments)
    yield Case(
      f"{user}, the output is below a file",
      module,
      below,
      None,
      "",
      needs_run=run,
    )
    odd = tuple(a.replace("{out}", "{out}/\udcff") for a in arguments)
    yield Case(
      f"{user}, the output is not UTF-8", module, odd, None, "", needs_run=run
    )
    null = tuple(a.replace("{out}", "/proc/x") for a in arguments)
    yield Case(
      f"{user}, the output cannot be written",
      module,
      null,
      None,
      "",
      needs_run=run,
    )
