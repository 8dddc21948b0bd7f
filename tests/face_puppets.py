"""Stand-ins for the systems of faces, whose results are known."""

import jax.numpy as jnp

from foregan_jax.layers import face_boxes

SIDE = 64
# The red level of the pixels of each part, in a picture of a face.
LEVELS = (60, 100, 140, 180)
HAPPINESS, NEUTRAL = 3, 6  # places in `face_labels.EMOTIONS`


class Parts:
  """Finds pixels by their red level; an inner mouth is happiness."""

  task = "face_parts"
  name = "parts"
  heads = ("parts",)
  size = SIDE
  classifies = True

  def predict_parts(self, nets, image):
    del nets
    red = image[..., :1].astype(jnp.float32)
    levels = jnp.array(LEVELS, jnp.float32).reshape(1, 1, 1, -1)
    near = jnp.abs(red - levels) < 15
    return near.astype(jnp.float32)

  def classify(self, nets, image, parts):
    del nets, image
    smiles = (parts[..., 2].mean((1, 2)) > 0)[:, None]
    at = lambda k: 0.8 * (jnp.arange(7) == k)[None] + 0.2 / 7
    both = jnp.where(smiles, at(HAPPINESS), at(NEUTRAL))
    return {"masks": both, "images": both}


class Edits:
  """Paints the whole mouth white, with alpha 1 on its lips and inner mouth."""

  task = "face_edits"
  name = "edits"
  regions = ("mouth",)
  blend = "replace"
  blend = "replace"
  source, target = "neutral", "happiness"
  size = SIDE

  def edit(self, nets, image, parts, direction):
    del nets, image
    mask = face_boxes.region_masks(parts, "mouth")
    box = face_boxes.feature_box(mask, 2)
    alpha = face_boxes.crop(mask[..., None].astype(jnp.float32), box, 16)
    white = jnp.ones((*alpha.shape[:3], 3)) * (1 if direction == "ab" else -1)
    return {"regions": white[None], "boxes": box[None], "alphas": alpha[None]}
