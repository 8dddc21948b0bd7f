"""Pseudo-videos to look at: what a propagator learns from, before it does.

  python -m foregan_jax.pseudo --root=VOCdevkit --preset=video --out=sheet.png

A row per clip: its frames with the object's contour (magenta: no loss there),
then the guidance for frame 1. Without `--root` the stills are the demo's.
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

_OBJECT = 1
_UNKNOWN = 5  # magenta in the palette
_COVERED = 0.5


def main() -> None:
  """Writes the sheet that the flags ask for."""
  root = pathlib.Path(_ROOT.value)
  if not _ROOT.value:
    root = demo_dataset.prepare(pathlib.Path(_DEMO.value)) / render.STILLS
  stills = instances.Instances(root, split=_SPLIT.value, size=_SIZE.value)
  makes = settings.build(
    pseudo_video.Synthesis,
    {
      "size": (_SIZE.value, _SIZE.value),
      "clip_len": _CLIP_LEN.value,
      **pseudo_video.PRESETS[_PRESET.value],
    },
  )
  rng = np.random.default_rng(_SEED.value)
  chosen = rng.permutation(len(stills))[: _COUNT.value]
  batch = [stills[i] for i in chosen]
  image, labels = (np.stack([s[k] for s in batch]) for k in ("image", "labels"))
  clip = jax.jit(makes)(platform.key(_SEED.value), image, labels)
  path = pathlib.Path(_OUT.value)
  pictures.save_png(path, sheet(clip, [stills.names[i] for i in chosen]))
  print(f"{len(batch)} clips of the preset {_PRESET.value}: {path}")


def sheet(clip: pseudo_video.Clip, names: list[str]) -> pictures.Picture:
  """Draws clips, a row each, with the names of their stills beside them."""
  frames, guidance = pictures.to_uint8(clip.video), pictures.grey(clip.guidance)
  known, hit = (
    np.asarray(x)[..., 0] > _COVERED for x in (clip.weight, clip.mask)
  )
  labels = np.where(known, np.where(hit, _OBJECT, 0), _UNKNOWN)
  labels = labels.astype(np.uint8)
  rows = [
    [*map(pictures.overlay, frames[i], labels[i]), guidance[i]]
    for i in range(len(frames))
  ]
  later = [f"frame {k}" for k in range(1, frames.shape[1])]
  return pictures.contact_sheet(
    rows, columns=["reference", *later, "guidance"], row_names=names
  )


if __name__ == "__main__":
  _ROOT = flags.DEFINE_string("root", "", "Stills with masks: VOC or DAVIS.")
  _DEMO = flags.DEFINE_string(
    "demo", "runs/demo_data", "Where the demo data lies, or will."
  )
  _SPLIT = flags.DEFINE_string("split", "train", "Name of the list.")
  _PRESET = flags.DEFINE_enum(
    "preset", "video", sorted(pseudo_video.PRESETS), "How clips are made."
  )
  _COUNT = flags.DEFINE_integer("count", 10, "Clips to make.", 1)
  _CLIP_LEN = flags.DEFINE_integer("clip-len", 4, "Frames of a clip.", 2)
  _SIZE = flags.DEFINE_integer("size", 256, "Side of the frames.", 32)
  _SEED = flags.DEFINE_integer("seed", 0, "Of all that is drawn.")
  _OUT = flags.DEFINE_string("out", "pseudo.png", "Where the sheet goes.")
  cli.run(main)
