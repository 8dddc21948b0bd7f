"""The keys and values that both stages of RGMP share."""

import ml_collections

from foregan_jax.runtime import base_config, optimizers
from foregan_jax.synthesis import filming


def published(stage: str) -> ml_collections.ConfigDict:
  """Return the published values; recommended ones where the paper has none."""
  c = base_config.base()
  c.system = "rgmp"
  c.variant = stage
  c.batch_size = 8
  c.sample_every = 5_000
  c.init_from.checkpoint_items = ("propagator",)

  c.nets = ml_collections.ConfigDict()
  c.nets.blocks = (3, 4, 6, 3)  # ResNet-50
  c.nets.width = 64
  c.nets.features = 256
  c.nets.norm = "frozen"  # frozen | group: for random initial weights
  c.nets.pool = True  # False: features twice as fine, for small frames
  c.nets.align_corners = True

  c.aux_weight = 0.0  # of the coarse predictions
  c.iou_weight = 0.0  # of 1 - IoU; ours
  # Cross-entropy of the hardest pixels only; share=0.15 is STCN's.
  c.bootstrap = ml_collections.ConfigDict(
    dict(share=1.0, start=20_000, end=70_000)
  )
  c.recurrence = 0  # steps with 1 frame in the loss, with 2, ...; 0: all
  c.truncate = 0  # stop the gradient at every n-th frame; 0: never

  c.optim.propagator = optimizers.adam(learning_rate=1e-5, b1=0.9)
  c.ema_nets = ("prop",)

  c.tracker = ml_collections.ConfigDict()
  c.tracker.scales = (0.5, 0.75, 1.0)  # (1.0,) halves the cost
  c.tracker.padding = "black"  # black | border
  c.eval.limit = 4
  return c


def pretrained() -> ml_collections.ConfigDict:
  """Return the config of the published network, for evaluation only."""
  c = published("official weights")
  c.data.samples = "clips"
  c.clips = ml_collections.ConfigDict(filming.RECOMMENDED)
  c.clips.size = (256, 512)
  c.ema_nets = ()
  return c


def small(c: ml_collections.ConfigDict) -> None:
  """Set sizes that two CPU cores train in minutes."""
  c.variant += ", small"
  c.eval_every = 0
  c.checkpoint_every = c.sample_every = 100
  c.data.height, c.data.width = 64, 112
  c.data.clip_len = 3
  c.data.threads = 2
  c.nets.blocks = (1, 1, 1, 1)
  c.nets.width, c.nets.features = 16, 32
  c.nets.norm, c.nets.pool = "group", False
  c.aux_weight = 0.2
  # The kernels with the largest fan-in have weights near .01. Twice this rate
  # destroys them before they have learnt anything.
  c.optim.propagator.learning_rate = 1e-3
  c.optim.propagator.warmup_steps = 20
  c.optim.propagator.grad_clip = 1.0
  c.optim.propagator.decay = "cosine"
  c.tracker.scales, c.tracker.padding = (1.0,), "border"


def smoke(c: ml_collections.ConfigDict) -> None:
  """Set the smallest sizes that run everything."""
  base_config.set_smoke(c)
  c.batch_size = 4
  c.data.height, c.data.width = 32, 48
  c.data.clip_len = 3
  c.nets.blocks = (1, 1, 1, 1)
  c.nets.width, c.nets.features = 4, 8
  c.nets.norm = "group"
  c.aux_weight = 0.1
  c.recurrence = 0
  c.scan_unroll, c.remat = "loop", "on"  # as on accelerators
  c.tracker.scales = (0.5, 1.0)
  c.eval.limit = 1
