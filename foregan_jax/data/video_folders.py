"""The annotated videos of a DAVIS folder, frame by frame."""

import pathlib

import numpy as np
from jaxtyping import UInt8

from foregan_jax.data import folders
from foregan_jax.media import images


class Folder:
  """The videos of one split of a folder; a `clips.Reader`.

  Attributes:
    path: the list of the videos.
    videos: the files of each video, by name.
    annotated: the times of the annotated frames of each video, by name.
  """

  def __init__(
    self, root: pathlib.Path, *, year: str, split: str, resolution: str
  ):
    """Scan the folder; no picture is read yet.

    Raises:
      DataError: naming the list, folder or file that is missing or invalid.
    """
    resolution = folders.find_resolution(root, resolution)
    self.path = folders.find_list(root, year, split, resolution)
    names = folders.read_list(self.path)
    self.videos = {n: folders.scan(root, resolution, n) for n in names}
    self.annotated = {
      name: [t for t, mask in enumerate(video.masks) if mask is not None]
      for name, video in self.videos.items()
    }

  def read(
    self, name: str, time: int
  ) -> tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w"]]:
    """Read an annotated frame as RGB, and its labels.

    Raises:
      DataError: naming the file that is broken or of another size.
    """
    video = self.videos[name]
    frame, mask = video.frames[time], video.masks[time]
    picture, labels = images.read_image(frame), images.read_labels(mask)
    images.check_size(mask, labels.shape, picture.shape[:2], "its frame")
    return picture, labels
