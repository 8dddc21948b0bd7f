"""Translation of facial expressions, by a CycleGAN on eyes and mouth.

  python -m foregan_jax.main --config=configs/face_transfer.py

renders faces of the embedded demo, trains on two CPU cores to turn neutral
faces into happy ones and back, edits faces of other people and prints a table.
On your own faces with masks of their parts and labels of their emotions
(layouts: foregan_jax/data/face_folders.py):

  python -m foregan_jax.main --config=configs/face_transfer.py:data=/data/CelebA

trains the published networks on crops of 64x64, which needs an accelerator (65
ms a step on an H100); it was never trained to the end. After the colon,
separated by commas:

  data=PATH        a folder of faces
  source=NAME      emotion of the faces that are changed (neutral)
  target=NAME      emotion that they get (happiness)
  variant=NAME     cyclegan | wgan_gp (another generator, Wasserstein critics)
  small            networks that two CPU cores can train
  fake             random arrays instead of data, for benchmarks
  smoke            tiny networks, three steps, for tests
"""

import ml_collections

from foregan_jax.runtime import base_config, optimizers, settings

# The variants that `foregan_jax.ablate` compares.
VARIANTS = ("cyclegan", "wgan_gp")


def get_config(arg: str = "") -> ml_collections.ConfigDict:
  """Return the config for the words after the colon."""
  arg = settings.parse_arg(
    arg, **base_config.ARGUMENTS, source="neutral", target="happiness",
    variant=VARIANTS,
  )  # fmt: skip
  c = _published()
  demo = base_config.set_data(c, arg)
  c.data.source, c.data.target = arg.source, arg.target
  c.variant = c.nets.kind = arg.variant
  if arg.variant == "wgan_gp":
    _wasserstein(c)
  if demo or arg.small:
    _small(c)
  if arg.smoke:
    _smoke(c)
  return c


def _published() -> ml_collections.ConfigDict:
  """Return the published recipe; an epoch is 1/200 of the run."""
  c = base_config.base()
  base_config.add_faces(c)
  c.system = "face_transfer"
  c.batch_size = 16
  c.num_steps = 100_000
  c.init_from.checkpoint_items = ("generators", "critics", "classifier")
  c.data.samples = "face_pairs"

  c.regions = ("eyes", "mouth")  # some of all | eyes | mouth
  # Side of the crops, and their largest random shift in pixels of 256x256.
  c.crops = ml_collections.ConfigDict(dict(size=64, shift=2.0))
  c.nets = n = ml_collections.ConfigDict()
  n.kind = "cyclegan"  # cyclegan | wgan_gp
  n.width, n.blocks = 64, 6  # of the generators
  n.upsample = "resize"  # resize | transposed (published; checkerboards)
  n.residual = False  # the generators return a change of their input
  n.critic_width = 64
  n.critic_depth = 2  # 3: 70x70 patches, larger than the crops
  n.classifier_width = 32

  # Weights of the losses; `identity` is a share of the cycle's weights.
  c.w_generator = ml_collections.ConfigDict(
    dict(cycle_a=10.0, cycle_b=10.0, identity=0.5, ring=0.0)
  )
  c.critics = k = ml_collections.ConfigDict()
  k.pool = 50  # of cyclegan: generated crops kept per region and domain
  # Of wgan_gp: the generators move at every n-th step, the critics at others.
  k.generators_every = 5
  k.penalty = 10.0  # weight of the gradient penalty
  k.noise, k.noise_steps = 0.1, 5_000  # it falls to 0 by this step
  # Brightness, contrast, saturation, hue: for the classifier only.
  c.colour = (0.1, 0.1, 0.1, 0.02)
  c.paste = ml_collections.ConfigDict()
  c.paste.alpha = "feature"  # feature | window | self (published)
  # How far `feature` reaches around the parts, in pixels of 256x256: new parts
  # may be larger, or at another place.
  c.paste.grow = ml_collections.ConfigDict(dict(all=12.0, eyes=6.0, mouth=12.0))
  # replace | add (the change of a region, which keeps detail of the picture).
  c.paste.blend = "replace"
  c.paste.ring_match = True  # match brightness and contrast off the features

  for player in ("generators", "critics"):
    c.optim[player] = optimizers.adam(learning_rate=2e-4, b1=0.5)
  c.optim.classifier = optimizers.adam(learning_rate=1e-3, b1=0.9)
  for optim in c.optim.values():
    optim.decay = "linear"
  c.eval.limit = 200
  return c


def _wasserstein(c: ml_collections.ConfigDict) -> None:
  """Set the source's values of `wgan_gp`."""
  c.batch_size = 64
  for player in ("generators", "critics"):
    optim = c.optim[player]
    optim.learning_rate, optim.b1, optim.b2 = 1e-5, 0.0, 0.9
    optim.decay = "none"


def _small(c: ml_collections.ConfigDict) -> None:
  """Set sizes that two CPU cores train in a quarter of an hour."""
  c.batch_size = 4
  c.num_steps = 1_000
  c.eval_every = 0
  c.checkpoint_every = c.sample_every = 250
  c.data.threads = 2
  c.data.face_size = 128
  c.crops.size = 48
  c.nets.width, c.nets.blocks, c.nets.residual = 16, 2, True
  c.paste.blend = "add"
  c.paste.grow.update(dict(all=32.0, eyes=32.0, mouth=32.0))
  c.nets.critic_width, c.nets.classifier_width = 24, 16
  c.critics.generators_every, c.critics.noise_steps = 3, 500
  c.ema_decay, c.ema_nets = 0.99, ("g_ab", "g_ba")
  for player in ("generators", "critics"):
    c.optim[player].learning_rate = 4e-4


def _smoke(c: ml_collections.ConfigDict) -> None:
  """Set the smallest sizes that run everything."""
  base_config.set_smoke(c)
  c.batch_size = 4
  c.data.face_size = 32
  c.crops.size = 16
  c.nets.width, c.nets.blocks = 4, 1
  c.nets.critic_width, c.nets.classifier_width = 4, 4
  c.critics.pool = 4
  c.critics.generators_every, c.critics.noise_steps = 2, 2
  c.ema_nets = ("g_ab", "g_ba")
  c.eval.limit = 2
