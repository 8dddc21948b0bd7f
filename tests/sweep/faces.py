"""Damaged faces: pictures, masks of parts, labels, and the verbs for faces."""

from collections.abc import Iterator

from tests.sweep import commands as c
from tests.sweep import damages
from tests.sweep.commands import Case

_PICTURE = "faces/JPEGImages/f1.jpg"
_MASK = "faces/SegmentationClass/f1.png"


def cases() -> Iterator[Case]:
  """Yield all cases."""
  pictures = damages.FILES | damages.PICTURES
  files = {
    "picture": (_PICTURE, pictures),
    "mask": (_MASK, pictures),
    "labels": ("faces/labels.csv", damages.FILES | damages.LISTS),
    "classes": ("faces/classes.json", damages.FILES | damages.JSONS),
    "pictures": ("faces/JPEGImages", damages.FOLDERS),
    "masks": ("faces/SegmentationClass", damages.FOLDERS),
  }
  some = {name: files[name] for name in ("picture", "mask", "classes")}
  yield from c.damaged_inputs("check faces", c.CHECK_FACES, files)
  yield from c.damaged_inputs("filter", c.FILTER, files)
  yield from c.damaged_inputs(
    "parts", c.PARTS, {"picture": files["picture"]}, needs_run=True
  )
  yield from c.damaged_inputs("express", c.EXPRESS, some, needs_run=True)
