"""Draw a contact sheet of pseudo-videos, the training clips of a propagator.

  python -m foregan_jax.pseudo --root=VOCdevkit --preset=video --out=sheet.png

Each row shows one clip: its frames with the object's contour (magenta: void,
not in the loss), then the guidance for frame 1. Without `--root` the stills are
those of the demo.
"""

import pathlib

import jax
import numpy as np
from absl import flags

from foregan_jax.data import instances
from foregan_jax.demo import dataset as demo_dataset
from foregan_jax.demo import render
from foregan_jax.media import pictures
from foregan_jax.runtime import cli, platform, settings
from foregan_jax.synthesis import pseudo_video

_OBJECT_COLOUR = 1  # index in the palette
_VOID_COLOUR = 5  # magenta in the palette
_THRESHOLD = 0.5  # of mask and weight


def main() -> None:
  """Write the sheet that the flags specify."""
  root = pathlib.Path(_ROOT.value)
  if not _ROOT.value:
    root = demo_dataset.prepare(pathlib.Path(_DEMO.value)) / render.STILLS
  stills = instances.Instances(root, split=_SPLIT.value, size=_SIZE.value)
  synthesis = settings.build(
    pseudo_video.Synthesis,
    {
      "size": (_SIZE.value, _SIZE.value),
      "clip_len": _CLIP_LEN.value,
      **pseudo_video.PRESETS[_PRESET.value],
    },
  )
  rng = np.random.default_rng(_SEED.value)
  indices = rng.permutation(len(stills))[: _COUNT.value]
  samples = [stills[i] for i in indices]
  image, labels = (
    np.stack([s[k] for s in samples]) for k in ("image", "labels")
  )
  clip = jax.jit(synthesis)(platform.key(_SEED.value), image, labels)
  path = pathlib.Path(_OUT.value)
  names = [stills.names[i] for i in indices]
  pictures.save_png(path, draw_sheet(clip, names))
  print(f"{len(samples)} clips of the preset {_PRESET.value}: {path}")


def draw_sheet(clip: pseudo_video.Clip, names: list[str]) -> pictures.Picture:
  """Return a sheet with one row per clip, named by its still."""
  frames, guidance = (
    pictures.to_uint8(clip.video),
    pictures.mask_to_rgb(clip.guidance),
  )
  valid, inside = (
    np.asarray(x)[..., 0] > _THRESHOLD for x in (clip.weight, clip.mask)
  )
  labels = np.where(valid, np.where(inside, _OBJECT_COLOUR, 0), _VOID_COLOUR)
  labels = labels.astype(np.uint8)
  rows = [
    [*map(pictures.overlay, frames[i], labels[i]), guidance[i]]
    for i in range(len(frames))
  ]
  columns = [f"frame {k}" for k in range(1, frames.shape[1])]
  return pictures.contact_sheet(
    rows, columns=["reference", *columns, "guidance"], row_names=names
  )


if __name__ == "__main__":
  _ROOT = flags.DEFINE_string(
    "root", "", "Stills with masks: VOC, DAVIS, salience."
  )
  _DEMO = flags.DEFINE_string(
    "demo", "runs/demo_data", "Folder of the demo data; rendered if missing."
  )
  _SPLIT = flags.DEFINE_string("split", "train", "Name of the list of stills.")
  _PRESET = flags.DEFINE_enum(
    "preset",
    "video",
    sorted(pseudo_video.PRESETS),
    "Settings of the synthesis.",
  )
  _COUNT = flags.DEFINE_integer("count", 10, "Number of clips.", 1)
  _CLIP_LEN = flags.DEFINE_integer("clip-len", 4, "Frames per clip.", 2)
  _SIZE = flags.DEFINE_integer("size", 256, "Side of the frames in pixels.", 32)
  _SEED = flags.DEFINE_integer("seed", 0, "Seed of stills and clips.")
  _OUT = flags.DEFINE_string("out", "pseudo.png", "Path of the sheet.")
  cli.run(main)
