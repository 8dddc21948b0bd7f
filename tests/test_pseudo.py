"""Pseudo-videos as a data set: what is written reads back as it was made."""

import numpy as np
import pytest

from foregan_jax import pseudo
from foregan_jax.data import check, video_folders
from foregan_jax.media import images
from foregan_jax.synthesis import pseudo_video


@pytest.fixture
def clip():
  """Return clips of two stills; the second one shows no object at first."""
  video = np.full((2, 3, 24, 32, 3), 0.2, np.float32)
  mask = np.zeros((2, 3, 24, 32, 2), np.float32)
  mask[0, :, 4:12, 4:12, 0] = mask[0, :, 14:20, 4:12, 1] = 1.0
  mask[1, 1:, 4:12, 4:12, 0] = 1.0
  weight = np.ones((2, 3, 24, 32, 1), np.float32)
  weight[:, 2, :, 28:] = 0.0
  return pseudo_video.Clip(video, mask, weight, mask[:, 1])


def test_dataset_reads_back(clip, tmp_path):
  root = tmp_path / "made"
  pseudo.write_dataset(clip, ["folder/one", "two"], root)
  folder = video_folders.Folder(root, year="2017", split="val", resolution="")
  assert folder.annotated == {"0000-one": [0, 1, 2]}
  frame, labels = folder.read("0000-one", 2)
  assert np.abs(frame - 127.5 * 1.2).max() <= 2
  want = np.zeros((24, 32), np.uint8)
  want[4:12, 4:12], want[14:20, 4:12], want[:, 28:] = 1, 2, images.VOID
  np.testing.assert_array_equal(labels, want)
  assert check.check(root) == []
  with pytest.raises(
    ValueError, match="made exists and is not an empty folder"
  ):
    pseudo.write_dataset(clip, ["one", "two"], root)


def test_sheet_has_a_row_per_clip(clip):
  one = pseudo.draw_sheet(clip, ["one", "two"])
  half = type(clip)(*(x[:1] for x in (
    clip.video, clip.mask, clip.weight, clip.guidance
  )))  # fmt: skip
  assert one.shape[0] > pseudo.draw_sheet(half, ["one"]).shape[0]
