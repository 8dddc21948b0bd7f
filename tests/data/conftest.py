"""Data for the tests of `foregan_jax.data`: tiny folders and demo data."""

import pathlib
import types

import cv2
import numpy as np
import pytest
from PIL import Image

from foregan_jax.data import davis
from foregan_jax.demo import dataset as demo_dataset
from foregan_jax.demo import render

SIZE = (24, 40)
NUM_FRAMES = 6


@pytest.fixture(scope="session")
def demo_root(tmp_path_factory) -> pathlib.Path:
  """Small demo data, rendered once; tests that change them make a copy."""
  recipe = render.Recipe(
    train_videos=10,
    train_frames=6,
    val_videos=4,
    val_frames=8,
    train_stills=4,
    val_stills=2,
  )
  return demo_dataset.prepare(tmp_path_factory.mktemp("demo"), recipe=recipe)


def write_mask(path: pathlib.Path, labels: np.ndarray, mode: str) -> None:
  """Write labels as a palette ("P") or grey ("L") picture."""
  path.parent.mkdir(parents=True, exist_ok=True)
  image = Image.fromarray(labels)
  if mode == "P":
    # All 256 colours: Pillow drops ids beyond the end of the palette.
    image.putpalette(list(range(256)) * 3)
  image.save(path)


def write_video(
  root: pathlib.Path,
  name: str,
  *,
  num_frames: int = NUM_FRAMES,
  size: tuple[int, int] = SIZE,
  mode: str = "P",
) -> None:
  """Write a video: two squares on texture; the first moves by 2 px right."""
  rng = np.random.default_rng(len(name))
  texture = rng.integers(0, 256, (*size, 3), np.uint8)
  texture = cv2.GaussianBlur(texture, (0, 0), 2)
  frames = root / "JPEGImages" / "tiny" / name
  frames.mkdir(parents=True)
  for t in range(num_frames):
    labels = np.zeros(size, np.uint8)
    labels[6:16, 4 + 2 * t : 14 + 2 * t] = 1
    labels[18:22, 20:30] = 2
    frame = texture.copy()
    frame[labels == 1] = (255, 0, 0)  # red in OpenCV's order would be blue
    frame[labels == 2] = (0, 255, 0)
    bgr = cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
    quality = (cv2.IMWRITE_JPEG_QUALITY, 95)
    cv2.imwrite(str(frames / f"{t:05d}.jpg"), bgr, quality)
    if mode == "L":
      labels = (labels > 0).astype(np.uint8) * 255
    masks = root / "Annotations" / "tiny" / name
    write_mask(masks / f"{t:05d}.png", labels, mode)


def write_list(root: pathlib.Path, year: str, split: str, lines) -> None:
  """Write a list of sequences."""
  path = root / "ImageSets" / year / f"{split}.txt"
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text("".join(f"{line}\n" for line in lines))


@pytest.fixture(scope="session")
def tiny() -> types.SimpleNamespace:
  """Functions to write such folders."""
  return types.SimpleNamespace(
    SIZE=SIZE,
    write_mask=write_mask,
    write_video=write_video,
    write_list=write_list,
  )


@pytest.fixture
def tiny_root(tmp_path) -> pathlib.Path:
  """A DAVIS folder with videos of 6, 6 and 3 frames."""
  root = tmp_path / "tiny"
  write_video(root, "ant")
  write_video(root, "bee", mode="L")
  write_video(root, "cicada", num_frames=3)
  write_list(root, "2017", "train", ["ant", "cicada"])
  write_list(root, "2017", "val", ["ant"])
  first = lambda n: f"/JPEGImages/tiny/{n}/00000.jpg /Annotations/x/{n}/0.png"
  write_list(root, "2016", "train", [first("ant"), first("bee"), first("bee")])
  return root


@pytest.fixture
def open_davis(tmp_path):
  """A function that opens a DAVIS folder with small sizes."""

  def open_root(root, **changes) -> davis.Davis:
    arguments = dict(
      year="2017",
      split="train",
      resolution="",
      objects=davis.MERGED,
      size=(12, 20),
      clip_len=4,
      flow="auto",
      flow_cache=tmp_path / "flow_cache",
    )
    return davis.Davis(root, **(arguments | changes))

  return open_root
