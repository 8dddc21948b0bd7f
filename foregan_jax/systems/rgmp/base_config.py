"""What both stages of RGMP set alike (configs/rgmp_voc.py, rgmp_davis.py)."""

import ml_collections

from foregan_jax.runtime import optimizers


def published(stage: str) -> ml_collections.ConfigDict:
  """Returns every key but those of one stage, as published or recommended."""
  c = ml_collections.ConfigDict()
  c.system = "rgmp"
  c.variant = stage
  c.seed = 0
  c.batch_size = 8  # global; must be a multiple of the number of devices
  c.num_steps = 0

  # How often, in steps.
  c.log_every = 50
  c.checkpoint_every = 2_000
  c.eval_every = 10_000  # 0: at the end only
  c.sample_every = 5_000
  c.keep_checkpoints = 2  # the newest; the best by J is kept as well

  # What the program runs on decides `auto` (foregan_jax/runtime/platform.py).
  c.dtype = "auto"  # auto | float32 | bfloat16
  c.scan_unroll = "auto"  # auto | full | loop
  c.remat = "auto"  # auto | on | off

  # Start from another run, or from a file: torchvision's ResNet-50, or RGMP's.
  c.init_from = ml_collections.ConfigDict()
  c.init_from.workdir = ""
  c.init_from.checkpoint_items = ("propagator",)
  c.init_from.step = "best"  # best | latest | a number
  c.init_from.weights = ""

  c.data = d = ml_collections.ConfigDict()
  d.kind = "davis"  # davis | demo | fake
  d.root = ""  # of kind demo, "": demo_data beside the workdir
  d.train_root = ""  # what is trained on, where it lies elsewhere
  d.year = "2016"
  d.resolution = ""  # "": the only folder below JPEGImages
  d.train_split = "train"
  d.eval_split = "val"
  d.objects = 0  # 0: all as one; -1: each by itself; k: the one with index k
  d.height, d.width = 480, 854  # of whole frames
  d.clip_len = 6  # a reference and five frames to segment
  d.flow_cache = ""  # of the baselines; "": beside the workdir
  d.threads = 8
  d.prefetch = 16

  c.nets = ml_collections.ConfigDict()
  c.nets.blocks = (3, 4, 6, 3)  # ResNet-50
  c.nets.width = 64
  c.nets.features = 256
  c.nets.norm = "frozen"  # frozen | group: for trunks that start from nothing
  c.nets.pool = True  # False: features twice as fine, for small frames
  c.nets.align_corners = True

  c.aux_weight = 0.0  # of the coarse predictions
  c.iou_weight = 0.0  # of 1 - IoU; ours
  c.recurrence = 0  # steps until all frames of a clip count
  c.truncate = 0  # cut the gradient in every so manieth frame; 0: never

  c.optim = ml_collections.ConfigDict()
  c.optim.propagator = optimizers.adam(learning_rate=1e-5, b1=0.9)
  c.ema_decay = 0.0  # 0: no averages
  c.ema_nets = ("prop",)

  c.eval = ml_collections.ConfigDict()
  c.eval.scales = (0.5, 0.75, 1.0)  # at half the cost: (1.0,)
  c.eval.padding = "black"  # black | border
  c.eval.sequences = 4  # the first so many, while training; 0: all
  c.eval.pictures = True
  return c


def small(c: ml_collections.ConfigDict) -> None:
  """What two CPU cores can do in minutes."""
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
  # The kernels that see most have weights near .01: twice this rate undoes
  # them before they have learnt anything.
  c.optim.propagator.learning_rate = 1e-3
  c.optim.propagator.warmup_steps = 20
  c.optim.propagator.grad_clip = 1.0
  c.optim.propagator.decay = "cosine"
  c.eval.scales, c.eval.padding = (1.0,), "border"


def smoke(c: ml_collections.ConfigDict) -> None:
  """As little as shows that everything runs."""
  c.batch_size = 4
  c.num_steps = 3
  c.log_every = 1
  c.checkpoint_every, c.eval_every, c.sample_every = 2, 2, 2
  c.data.height, c.data.width = 32, 48
  c.data.clip_len = 3
  c.nets.blocks = (1, 1, 1, 1)
  c.nets.width, c.nets.features = 4, 8
  c.nets.norm = "group"
  c.aux_weight = 0.1
  c.recurrence = 0
  c.scan_unroll, c.remat = "loop", "on"  # what accelerators do
  c.ema_decay = 0.9
  c.eval.scales = (0.5, 1.0)
  c.eval.sequences = 1
