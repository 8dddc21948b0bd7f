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
  users = {
    "check faces": (c.CHECK_FACES, files, False),
    "filter": (c.FILTER, files, False),
    "parts": (c.PARTS, {"picture": files["picture"]}, True),
    "express": (
      c.EXPRESS,
      {name: files[name] for name in ("picture", "mask", "classes")},
      True,
    ),
  }
  for user, ((module, arguments), places, needs_run) in users.items():
    for kind, (place, changes) in places.items():
      for name, damage in changes.items():
        yield Case(
          f"{user}, {kind}: {name}",
          module,
          arguments,
          damage,
          place,
          needs_run=needs_run,
        )
