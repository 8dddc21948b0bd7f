"""Pictures to look at while a system trains, always of the same clips."""

import jax
import numpy as np

from foregan_jax import pictures

_NUM_CLIPS = 2


class Sampler:
  """Draws what the nets make of a few fixed clips."""

  def __init__(self, system, videos, *, clip_len: int):
    """Remembers the first clip of the first few videos.

    Args:
      system: its `predict` gives soft masks by head, and `layers`.
      videos: has `names` and `sequence(name, num_frames=...)`.
      clip_len: frames of a clip.
    """
    clips = []
    for name in videos.names:
      clip = videos.sequence(name, num_frames=clip_len)
      if len(clip["frames"]) == clip_len:  # videos may be shorter
        clips.append(clip)
      if len(clips) == _NUM_CLIPS:
        break
    if not clips:
      raise ValueError(f"no video to evaluate on has {clip_len} frames")
    stack = lambda name: np.stack([clip[name] for clip in clips])
    self._batch = {
      "video": stack("frames"),
      "ref_mask": stack("ref_mask"),
      "flow_fwd": stack("flow_fwd"),
    }
    self._predict = jax.jit(system.predict)

  def sheets(self, params) -> dict[str, np.ndarray]:
    """Returns one sheet per clip: a row per frame, a column per layer.

    Args:
      params: by net, on the host.
    """
    params = jax.device_put(params, jax.local_devices()[0])
    made = jax.device_get(self._predict(params, self._batch))
    layers = made.pop("layers")
    sheets = {}
    for i, video in enumerate(self._batch["video"]):
      columns = {
        "video": video[1:],
        "composed": pictures.to_uint8(layers.frame[i]),
        "foreground": pictures.to_uint8(layers.fg[i]),
        "background": pictures.to_uint8(layers.bg[i]),
      }
      columns |= {head: pictures.grey(masks[i]) for head, masks in made.items()}
      rows = list(zip(*columns.values(), strict=True))
      sheets[f"clip{i}"] = pictures.contact_sheet(rows, columns=list(columns))
    return sheets
