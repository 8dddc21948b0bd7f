"""The Python API: load a trained model, pass frames, get masks and layers.

All arrays are NumPy arrays of the size of the frames that are passed in.
"""

import dataclasses
import itertools
import pathlib
from collections.abc import Iterable
from typing import Any

import numpy as np

from foregan_jax import face_models, runs, storage, tasks, weight_files
from foregan_jax.media import images, pictures
from foregan_jax.predictors import (
  animator,
  cut_outs,
  face_editor,
  layer_tracker,
  mask_tracker,
  part_finder,
  plates,
  samples,
)
from foregan_jax.runtime import settings

FacePartsModel = face_models.FacePartsModel
FaceEditModel = face_models.FaceEditModel
# Both satisfy `propagate.Tracker`.
Tracker = mask_tracker.MaskTracker | layer_tracker.LayerTracker


@dataclasses.dataclass(frozen=True)
class Frame:
  """The result for one frame of size h x w.

  Attributes:
    labels: uint8 [h, w]: 0 background, 1, 2, ... the objects.
    probabilities: float32 [n + 1, h, w] in [0, 1], background first; the sum
      over the first axis is 1.
    foreground: uint8 RGBA [h, w, 4]: the frame, with the probability of all
      objects as alpha.
    background: uint8 RGB [h, w, 3]: the frame without its objects; None if the
      model draws no layers.
  """

  labels: np.ndarray
  probabilities: np.ndarray
  foreground: np.ndarray
  background: np.ndarray | None


class Video:
  """A video in progress: `step` takes frame after frame, in constant memory."""

  def __init__(self, tracker: Tracker, frame, labels):
    """Start at a frame with labels; see `VideoModel.start`."""
    self._tracker = tracker
    self._state = tracker.begin(frame, labels)

  def step(self, frame: np.ndarray) -> Frame:
    """Segment the next frame.

    Args:
      frame: uint8 RGB [h, w, 3].
    """
    self._state, soft = self._tracker.step(self._state, frame)
    labels = soft.argmax(0).astype(np.uint8)
    background = None
    if isinstance(self._tracker, layer_tracker.LayerTracker):
      if self._tracker.generates_background:
        background = plates.compose(
          frame, labels > 0, self._tracker.background(self._state)
        )
    foreground = pictures.cut_out(frame, soft[1:].sum(0))
    return Frame(labels, soft, foreground, background)

  def add(self, frame: np.ndarray, labels: np.ndarray) -> None:
    """Add or correct objects on the frame that was just passed to `step`.

    Args:
      frame: uint8 RGB [h, w, 3].
      labels: uint8 [h, w]; 0 keeps the result of `step`.

    Raises:
      ValueError: if the model segments one object only.
    """
    self._state = self._tracker.add(self._state, frame, labels)


class VideoModel:
  """A model that propagates the mask of a frame through a video.

  Attributes:
    tracker: what the model does with each frame.
    description: what was loaded; equal descriptions mean equal results.
  """

  def __init__(self, tracker: Tracker, description: str):
    """Wrap a tracker. Do not call this; call `load`."""
    self.tracker = tracker
    self.description = description

  def start(self, frame: np.ndarray, labels: np.ndarray) -> Video:
    """Start a video at a frame with known labels.

    Args:
      frame: uint8 RGB [h, w, 3].
      labels: uint8 [h, w]: 0 background, 1, 2, ... objects, 255 unknown.

    Raises:
      ValueError: if the labels do not fit the frame or the model.
    """
    return Video(self.tracker, np.asarray(frame), np.asarray(labels))

  def segment(
    self, frames: Iterable[np.ndarray], labels: np.ndarray
  ) -> np.ndarray:
    """Return the labels of all frames of a video, uint8 [t, h, w].

    Args:
      frames: uint8 RGB [h, w, 3] each.
      labels: uint8 [h, w], of the first frame; see `start`.

    Raises:
      ValueError: if there is no frame, or as in `start`.
    """
    frames = iter(frames)
    first = next(frames, None)
    if first is None:
      raise ValueError("there are no frames")
    video = self.start(first, labels)
    known = np.where(labels == images.VOID, 0, labels).astype(np.uint8)
    return np.stack([known, *(video.step(f).labels for f in frames)])


class StillModel:
  """A model that segments single pictures and generates new ones.

  Attributes:
    name: of the system.
    sampler: its generator.
  """

  def __init__(self, system: Any, nets: Any, size: int):
    """Compile the networks; use `load`.

    Args:
      system: a `tasks.StillSystem`.
      nets: its networks.
      size: side of the pictures it was trained on, pixels.
    """
    self.name = system.name
    self.sampler = samples.Sampler(system, nets)
    self._segment = cut_outs.make_segmenter(system, nets, size)

  def segment(self, image: np.ndarray) -> np.ndarray:
    """Return the soft mask of a picture, float32 [h, w] in [0, 1].

    Args:
      image: uint8 RGB [h, w, 3].
    """
    return self._segment(np.asarray(image))

  def sample(self, count: int, *, seed: int = 0) -> dict[str, np.ndarray]:
    """Generate pictures with their layers and masks.

    Args:
      count: number of pictures.
      seed: of the codes.

    Returns:
      `image`, `foreground`, `background`, uint8 [count, s, s, 3], and `mask`,
      float32 [count, s, s] in [0, 1].
    """
    return self.sampler.sample(count, seed)


@dataclasses.dataclass(frozen=True)
class AnimatedFrame:
  """The result for one driving frame; s is the size of the model.

  Attributes:
    image: uint8 RGB [s, s, 3]: the source's object as in the driving frame.
    mask: float32 [s, s] in [0, 1]: the object's soft mask.
    swapped: uint8 RGB [s, s, 3]: the object in front of the new background;
      None without one.
  """

  image: np.ndarray
  mask: np.ndarray
  swapped: np.ndarray | None


class Animation:
  """An animation in progress: `step` takes frame after frame."""

  def __init__(self, model: animator.Animator, scene: animator.Scene):
    """Keep the scene; use `AnimationModel.start`."""
    self._animator = model
    self._scene = scene

  def step(self, frame: np.ndarray) -> AnimatedFrame:
    """Animate the source by a driving frame; frames are independent.

    Args:
      frame: uint8 RGB [h, w, 3]; its central square is used.
    """
    square = self._animator.square(frame, "the driving frame")
    made = self._animator.run(self._scene, square[None], batch=1)
    swapped = None if made.swapped is None else made.swapped[0]
    return AnimatedFrame(made.images[0], made.masks[0], swapped)


class AnimationModel:
  """A model that moves the object of a picture as in a video.

  Of every picture, the central square is used.

  Attributes:
    animator: its networks.
    description: what was loaded; equal descriptions mean equal results.
  """

  def __init__(self, model: animator.Animator, description: str):
    """Wrap the networks; use `load`."""
    self.animator = model
    self.description = description

  @property
  def size(self) -> int:
    """Return the side of the images, pixels."""
    return self.animator.size

  def start(
    self,
    source: np.ndarray,
    *,
    background: np.ndarray | None = None,
    hole: str = tasks.HOLES[0],
  ) -> Animation:
    """Start an animation.

    Args:
      source: uint8 RGB [h, w, 3], the picture with the object.
      background: uint8 RGB [h, w, 3], at least of the model's size, for the
        object to be put in front of.
      hole: what is cut out of the background: `own`, its own object, if it is
        of the kind of the training; `none`; or `actor`, the place of the new
        object.

    Raises:
      ValueError: if a picture does not fit, or the model has no networks for
        backgrounds.
    """
    scene = self.animator.scene(source, background, hole)
    return Animation(self.animator, scene)

  def animate(
    self,
    source: np.ndarray,
    frames: Iterable[np.ndarray],
    *,
    background: np.ndarray | None = None,
    hole: str = tasks.HOLES[0],
  ) -> np.ndarray:
    """Return a picture animated by all frames, uint8 RGB [t, s, s, 3].

    Args:
      source: see `start`.
      frames: uint8 RGB [h, w, 3] each.
      background: see `start`; then the results have it.
      hole: see `start`.

    Raises:
      ValueError: if there is no frame, or as in `start`.
    """
    scene = self.animator.scene(source, background, hole)
    squares = (self.animator.square(f, "a driving frame") for f in frames)
    parts = []
    while batch := list(itertools.islice(squares, animator.BATCH)):
      made = self.animator.run(scene, np.stack(batch))
      parts.append(made.images if made.swapped is None else made.swapped)
    if not parts:
      raise ValueError("there are no frames")
    return np.concatenate(parts)


def load(
  path: str | pathlib.Path = "",
  *,
  step: str = "latest",
  head: str = "",
  scales: tuple[float, ...] = (),
  side: int = 0,
) -> VideoModel | StillModel | AnimationModel | FacePartsModel | FaceEditModel:
  """Load a trained run or a weight file.

  Args:
    path: the workdir of a run; a weight file (from `foregan_jax.export`, or
      RGMP's official one); "": the weights in this package.
    step: checkpoint of the run: best, latest or a number.
    head: which of the run's masks, or animated images, to use; "" = the
      default of the system.
    scales: sizes, as factors, at which frames are segmented and averaged; ()
      = as trained. Only for models of any number of objects.
    side: shorter side, in pixels, at which frames are segmented; 0 = that of
      training, or of the frames if it is smaller; 360 for the weights in this
      package. Only for the same models.

  Raises:
    ValueError: if the path, the step or the head does not exist, or the model
      does not support the scales or the side.
  """
  images.check_side(side)
  if not path:
    path, side = weight_files.PACKAGED, side or weight_files.PACKAGED_SIDE
  # A local path stays as given, because messages show it.
  remote = storage.is_remote(path)
  path = storage.open_path(path) if remote else pathlib.Path(path)
  run = runs.Run(path) if path.is_dir() else weight_files.open_file(path)
  system = run.system
  if system.task == tasks.STILLS:
    _, nets = run.load(step)
    return StillModel(system, nets, run.config.data.still_size)
  if system.task in (tasks.FACE_EDITS, tasks.FACE_PARTS):
    number, nets = run.load(step)
    text = _describe(path, number)
    if system.task == tasks.FACE_PARTS:
      return FacePartsModel(part_finder.PartFinder(system, nets), text)
    return FaceEditModel(face_editor.FaceEditor(system, nets), text)
  head = _check_head(path, head, system.heads)
  animates = system.task == tasks.ANIMATION
  given = {"scales": ",".join(map(str, scales)), "side": side}
  for flag, value in given.items():
    if value and (animates or system.tracking == tasks.LAYERS):
      raise ValueError(
        f"--{flag}={value}: {path} has a run of {run.config.system}, which "
        f"{'animates' if animates else 'segments'} frames at one size"
      )
  number, nets = run.load(step)
  text = _describe(path, number)
  if animates:
    head = head or system.heads[0]
    made = animator.Animator(system, nets, head=head)
    return AnimationModel(made, f"{text}, head {head}")
  head = head or system.default_head
  size = run.config.data.height, run.config.data.width
  if system.tracking == tasks.LAYERS:
    tracker = layer_tracker.LayerTracker(system, nets, head=head, size=size)
    detail = f"head {head}"
  else:
    own = system.tracker.at_scales(scales)
    tracker = mask_tracker.MaskTracker(
      own, own.own_params(nets.params), side or min(size), enlarge=bool(side)
    )
    detail = f"{scales}, side {side}" if side else f"{scales}"
  return VideoModel(tracker, f"{text}, {detail}")


def _describe(path: storage.Path, step: int) -> str:
  """Return what was loaded."""
  # A run may be repeated in the same folder: the time tells them apart.
  file = path / "checkpoints" / str(step) if path.is_dir() else path
  stat = file.stat()
  time = stat.mtime if storage.is_remote(path) else stat.st_mtime_ns
  return f"{storage.open_path(path)}, step {step} of {time}"


def _check_head(where: storage.Path, head: str, heads) -> str:
  """Return the head; refuse one that does not exist."""
  if head and head not in heads:
    raise ValueError(
      f"--head={head}: {where} has no such head; its heads are "
      f"{', '.join(heads)}.{settings.suggestion(head, list(heads))}"
    )
  return head
