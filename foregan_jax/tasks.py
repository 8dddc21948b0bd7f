"""What evaluators, predictors and tools call of a system, by task.

`System.task` names one of `TASKS`. The protocol of that task lists the methods
that its evaluator and its predictors need. The smaller protocols below are
optional for every system.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

import jax

from foregan_jax import game

OBJECTS, LAYERS = "objects", "layers"  # kinds of tracking
VIDEOS = "videos"  # masks of a video from its first mask
STILLS = "stills"  # masks of single pictures, without any given mask
ANIMATION = "animation"  # a still that moves like the object of a video
FACE_PARTS = "face_parts"  # masks of eyes, brows, mouth and lips; expressions
FACE_EDITS = "face_edits"  # faces with another emotion
TASKS = (VIDEOS, STILLS, ANIMATION, FACE_EDITS, FACE_PARTS)
# What is cut out of the picture with a new background: its own object, if it is
# of the kind of the training; nothing; the place where the new object will be.
HOLES = ("own", "none", "actor")
NUM_EMOTIONS = 7  # of `data.face_labels.EMOTIONS`, in their order
# Of face edits: from the source emotion to the target emotion, and back.
DIRECTIONS = ("ab", "ba")


@runtime_checkable
class VideoSystem(game.System, Protocol):
  """A system that segments videos from their first mask.

  Attributes:
    heads: names of the ways to get masks; the score of the first one chooses
      the best checkpoint.
    default_head: the head whose masks a user gets without asking.
    unguided: heads that need no first mask; `segment` runs them.
    tracking: `objects` if `tracker` (a `nets.tracker.Tracker`) segments any
      number of objects at any frame size; `layers` if `begin` and `advance`
      segment one object at the size of training.
  """

  heads: tuple[str, ...]
  default_head: str
  unguided: tuple[str, ...]
  tracking: str

  def begin(self, nets: game.Nets, frame: jax.Array, mask: jax.Array) -> Any:
    """Return the carry after the first frame.

    Args:
      nets: all nets.
      frame: uint8 [b, h, w, 3].
      mask: uint8 [b, h, w, n], coverage of the n objects, 0 to 255.
    """

  def advance(
    self, nets: game.Nets, carry: Any, frames: jax.Array, flow: jax.Array
  ) -> tuple[Any, dict[str, jax.Array], Any]:
    """Segment the next t frames.

    Args:
      nets: all nets.
      carry: from `begin` or an earlier call.
      frames: uint8 [b, t, h, w, 3].
      flow: [b, t, h, w, 2] in pixels, from the frame before to each frame.

    Returns:
      The carry, soft masks {head: [b, t, h, w, n]} in [0, 1], and the layers
      (`rollout.Layers`), or None if the system draws none.
    """

  def segment(self, nets: game.Nets, frames: jax.Array) -> dict[str, jax.Array]:
    """Return soft masks {head: [b, t, h, w, 1]} of the unguided heads."""

  def predict(self, nets: game.Nets, batch: game.Batch) -> dict[str, Any]:
    """Return soft masks [b, t-1, h, w, n] of a training batch, by head."""


@runtime_checkable
class StillSystem(game.System, Protocol):
  """A system that segments single pictures and draws new ones.

  Attributes:
    heads: names of the ways to get masks; predictions are those of the first.
      If the system has a `best` metric, it is one of the first head.
  """

  heads: tuple[str, ...]

  def predict(self, nets: game.Nets, batch: game.Batch) -> dict[str, jax.Array]:
    """Return soft masks {head: [b, h, w, 1]} of uint8 `batch["image"]`."""

  def cluster(self, nets: game.Nets, batch: game.Batch) -> jax.Array:
    """Return the index of the private code [b] estimated for each picture."""

  def sample(self, nets: game.Nets, key, count: int) -> tuple[Any, Any]:
    """Draw pictures; return their layers [count, h, w, c] and codes."""


@runtime_checkable
class AnimationSystem(game.System, Protocol):
  """A system that moves the object of a still as in a driving frame.

  Attributes:
    heads: names of the generated images; scores are those of the first one.
    size: side of the images, pixels.
    threshold: of the soft masks, 0 to 255; an object is above it.
    swaps_backgrounds: whether it has the nets for `swap_background`.
  """

  heads: tuple[str, ...]
  size: int
  threshold: float

  @property
  def swaps_backgrounds(self) -> bool:
    """Return whether it has the nets for `swap_background`."""

  def reconstruct(
    self, nets: game.Nets, source: jax.Array, driving: jax.Array
  ) -> dict[str, jax.Array]:
    """Paint driving frames from a frame of the same video.

    Args:
      nets: all nets.
      source: uint8 [b, s, s, 3].
      driving: uint8 [b, s, s, 3].

    Returns:
      An image [b, s, s, 3] in [0, 1] by head, and soft masks [b, h, w, 1] of
      both frames, `mask_source` and `mask`.
    """

  def animate(
    self, nets: game.Nets, source: jax.Array, driving: jax.Array
  ) -> dict[str, jax.Array]:
    """Move the object of a source as in frames of another video.

    Arguments and results are those of `reconstruct`; `mask` has the shape of
    the source's object, `mask_raw` that of the driving one.
    """

  def swap_background(
    self,
    nets: game.Nets,
    image: jax.Array,
    actor: jax.Array,
    mask: jax.Array,
    *,
    hole: str,
  ) -> jax.Array:
    """Put the object of generated images in front of another image.

    Args:
      nets: all nets.
      image: uint8 [b, s, s, 3], the new background.
      actor: an image in [0, 1] from `animate` or `reconstruct`.
      mask: its `mask`.
      hole: what is cut out of `image`, one of `HOLES`.

    Returns:
      Images [b, s, s, 3] in [0, 1].
    """

  def compare(
    self, nets: game.Nets, image: jax.Array, truth: jax.Array
  ) -> jax.Array:
    """Return the perceptual loss [b] of images against the truth.

    Images are uint8, or float32 in [0, 1].
    """

  def predict(self, nets: game.Nets, batch: game.Batch) -> dict[str, jax.Array]:
    """Return reconstructions [b, s, s, 3] of a training batch, by head."""


@runtime_checkable
class FaceEditSystem(game.System, Protocol):
  """A system that gives faces another emotion.

  Attributes:
    regions: names of the regions that it edits, of `layers.face_boxes.REGIONS`.
    source: the emotion of faces `a`.
    target: the emotion of faces `b`.
    size: side of the faces, pixels.
    blend: how regions are pasted, one of `layers.face_paste.BLENDS`.
  """

  regions: tuple[str, ...]
  source: str
  target: str
  size: int
  blend: str

  def edit(
    self, nets: game.Nets, image: jax.Array, parts: jax.Array, direction: str
  ) -> dict[str, jax.Array]:
    """Edit faces.

    Args:
      nets: all nets.
      image: uint8 [b, s, s, 3].
      parts: uint8 [b, s, s, 4], coverage of the parts, 0 to 255.
      direction: one of `DIRECTIONS`; static.

    Returns:
      `image`, the edited faces [b, s, s, 3] in [-1, 1]; and by region, in the
      order of `regions`, what was pasted: `regions` [r, b, c, c, 3] in [-1, 1],
      `alphas` [r, b, c, c, 1] in [0, 1], `boxes` [r, b, 4] in pixels of the
      faces (see `layers.face_boxes`). `raw` are the regions before their
      brightness was matched, `crops` those of the faces.
    """

  def classify(self, nets: game.Nets, image: jax.Array) -> jax.Array:
    """Return the probability [b] that faces show the target emotion.

    Images are uint8, or float32 in [-1, 1].
    """

  def predict(self, nets: game.Nets, batch: game.Batch) -> dict[str, jax.Array]:
    """Return edited faces [b, s, s, 3] of a training batch, by direction.

    They are in [0, 1].
    """


@runtime_checkable
class FacePartsSystem(game.System, Protocol):
  """A system that segments the parts of faces and classifies expressions.

  Parts are in the order of `layers.face_boxes.PARTS`, expressions in that of
  `data.face_labels.EMOTIONS`.

  Attributes:
    heads: names of the ways to get masks; predictions are those of the first.
    size: side of the faces, pixels.
    classifies: whether it has the nets for `classify`.
  """

  heads: tuple[str, ...]
  size: int
  classifies: bool

  def predict_parts(self, nets: game.Nets, image: jax.Array) -> jax.Array:
    """Return soft masks [b, s, s, 4] of uint8 faces [b, s, s, 3]."""

  def classify(
    self, nets: game.Nets, image: jax.Array, parts: jax.Array
  ) -> dict[str, jax.Array]:
    """Return the probabilities of the expressions of faces.

    Args:
      nets: all nets.
      image: uint8 [b, s, s, 3].
      parts: soft masks [b, s, s, 4] in [0, 1].

    Returns:
      [b, 7] as `masks` show them, and as `images` do.
    """

  def predict(self, nets: game.Nets, batch: game.Batch) -> dict[str, jax.Array]:
    """Return soft masks [b, s, s, 4] of a training batch, by head."""


PROTOCOLS = {
  VIDEOS: VideoSystem,
  STILLS: StillSystem,
  ANIMATION: AnimationSystem,
  FACE_PARTS: FacePartsSystem,
  FACE_EDITS: FaceEditSystem,
}


@runtime_checkable
class HasDiagnostics(Protocol):
  """A system that detects failing training from its metrics."""

  def diagnose(self, step: int, metrics: Mapping[str, float]) -> dict[str, str]:
    """Return a sentence with a remedy for each problem, by its name."""


@runtime_checkable
class HasRestarts(Protocol):
  """A system with players that start again during training."""

  def restarts(self, step: int) -> tuple[str, ...]:
    """Return the players that start again before they move at `step`.

    Their nets, optimisers and memories get their initial values. A checkpoint
    of this step has the values before that.
    """


@runtime_checkable
class HasBenchmarks(Protocol):
  """A system with parts that get a line of their own in the benchmark."""

  def benchmarks(self) -> dict[str, Callable]:
    """Return functions of (nets, batch, key) by name."""


@runtime_checkable
class LoadsWeights(Protocol):
  """A system that can start from the weight file of another program."""

  def load_weights(self, params: dict[str, Any], path: str) -> dict[str, Any]:
    """Return params with the weights of the file; other params are kept.

    Raises:
      ValueError: naming the file, if it does not fit.
    """


def check(system: game.System) -> game.System:
  """Return the system if it has what its task needs.

  Raises:
    TypeError: if it has not. This is an error of the programmer.
  """
  protocol = PROTOCOLS[system.task]
  if not isinstance(system, protocol):
    raise TypeError(
      f"system {system.name} is of task {system.task!r}, but has not all "
      f"attributes of tasks.{protocol.__name__}"
    )
  return system
