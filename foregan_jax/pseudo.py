"""Make pseudo-videos, the training clips of a propagator, to look at or keep.

  python -m foregan_jax.pseudo --root=VOCdevkit --preset=video --out=sheet.png
  python -m foregan_jax.pseudo --root=VOCdevkit --objects=2 --clip-len=20 \\
    --dataset=pseudo_davis

The first command draws a contact sheet. Each row shows one clip: its frames
with the objects' contours (magenta: void, not in the loss), then the guidance
for frame 1. The second one also writes the clips as videos with annotations in
the layout of DAVIS, list `ImageSets/2017/val.txt`. Without `--root` the stills
are those of the demo.
"""

import pathlib

import jax
import numpy as np
from absl import flags

from foregan_jax.data import instances
from foregan_jax.demo import dataset as demo_dataset
from foregan_jax.demo import render
from foregan_jax.media import images, pictures
from foregan_jax.runtime import cli, platform, settings
from foregan_jax.synthesis import pseudo_video

_VOID_COLOUR = 5  # magenta in the palette
_THRESHOLD = 0.5  # of mask and weight
_RESOLUTION = "pseudo"  # the folder below JPEGImages


def main() -> None:
  """Write what the flags specify."""
  root = pathlib.Path(_ROOT.value)
  if not _ROOT.value:
    root = demo_dataset.prepare(pathlib.Path(_DEMO.value)) / render.STILLS
  stills = instances.Instances(root, split=_SPLIT.value, size=_SIZE.value)
  synthesis = settings.build(
    pseudo_video.Synthesis,
    {
      "size": (_SIZE.value, _SIZE.value),
      "clip_len": _CLIP_LEN.value,
      "objects": _OBJECTS.value,
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
  if _DATASET.value:
    root = pathlib.Path(_DATASET.value)
    write_dataset(clip, names, root)
    print(f"videos with annotations in the layout of DAVIS: {root}")


def draw_sheet(clip: pseudo_video.Clip, names: list[str]) -> pictures.Picture:
  """Return a sheet with one row per clip, named by its still."""
  frames = pictures.to_uint8(clip.video)
  guidance = pictures.mask_to_rgb(clip.guidance.max(-1, keepdims=True))
  labels = _labels(clip, _VOID_COLOUR)
  rows = [
    [*map(pictures.overlay, frames[i], labels[i]), guidance[i]]
    for i in range(len(frames))
  ]
  columns = [f"frame {k}" for k in range(1, frames.shape[1])]
  return pictures.contact_sheet(
    rows, columns=["reference", *columns, "guidance"], row_names=names
  )


def write_dataset(
  clip: pseudo_video.Clip, names: list[str], root: pathlib.Path
) -> None:
  """Write the clips as videos with annotations in the layout of DAVIS.

  Clips that show no object in their first frame are left out.

  Raises:
    ValueError: if `root` is a file or has files already.
  """
  if root.is_file() or (root.is_dir() and any(root.iterdir())):
    raise ValueError(
      f"--dataset={root} exists and is not an empty folder; give a new one"
    )
  frames, labels = pictures.to_uint8(clip.video), _labels(clip, images.VOID)
  written = []
  for i, name in enumerate(names):
    if not ((labels[i, 0] > 0) & (labels[i, 0] < images.VOID)).any():
      continue
    video = f"{i:04d}-{pathlib.PurePath(name).name}"
    for t, (frame, ids) in enumerate(zip(frames[i], labels[i], strict=True)):
      frame_path, label_path = (
        root / kind / _RESOLUTION / video / f"{t:05d}.{end}"
        for kind, end in (("JPEGImages", "jpg"), ("Annotations", "png"))
      )
      for path in (frame_path, label_path):
        path.parent.mkdir(parents=True, exist_ok=True)
      pictures.save_jpeg(frame_path, frame)
      pictures.save_labels(label_path, ids)
    written.append(video)
  path = root / "ImageSets" / "2017" / "val.txt"
  path.parent.mkdir(parents=True)
  path.write_text("".join(f"{video}\n" for video in written))


def _labels(clip: pseudo_video.Clip, void: int) -> np.ndarray:
  """Return object ids, uint8 [b, t, h, w]; `void` where they are unknown."""
  mask, weight = np.asarray(clip.mask), np.asarray(clip.weight)[..., 0]
  ids = np.where(mask.max(-1) > _THRESHOLD, 1 + mask.argmax(-1), 0)
  return np.where(weight > _THRESHOLD, ids, void).astype(np.uint8)


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
  _OBJECTS = flags.DEFINE_integer(
    "objects", 1, "Objects per clip; the second is that of the background.", 1
  )
  _DATASET = flags.DEFINE_string(
    "dataset", "", "Folder to also write the clips to, in DAVIS layout."
  )
  _SIZE = flags.DEFINE_integer("size", 256, "Side of the frames in pixels.", 32)
  _SEED = flags.DEFINE_integer("seed", 0, "Seed of stills and clips.")
  _OUT = flags.DEFINE_string("out", "pseudo.png", "Path of the sheet.")
  cli.run(main)
