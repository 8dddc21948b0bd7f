"""Improved layered GANs: pictures in, layers and a segmenter out, no label.

  python -m foregan_jax.main --config=configs/layered_gan.py

cuts pictures out of the embedded demo videos, trains on them, evaluates the
segmenter on unseen ones and prints a table. On pictures of one's own (layout:
foregan_jax/data/stills.py; CUB-200-2011 as it comes):

  python -m foregan_jax.main --config=configs/layered_gan.py:data=/datasets/CUB

runs the published networks at 128x128; one H100 is wanted. After the colon,
separated by commas:

  data=PATH        a folder of pictures
  variant=NAME     one of VARIANTS: what happens without a part
  small            networks and pictures that two CPU cores can train
  fake             random arrays instead of data, for benchmarks
  smoke            tiny networks, a few steps, for tests
"""

import ml_collections

from foregan_jax.runtime import optimizers, settings

# What `python -m foregan_jax.ablate` compares.
VARIANTS = ("full", "no_info", "no_perturbation", "no_bg_seg", "ils")


def get_config(arg: str = "") -> ml_collections.ConfigDict:
  """Returns the config that the words after the colon ask for."""
  arg = settings.parse_arg(
    arg, data="", variant=VARIANTS, small=False, fake=False, smoke=False
  )
  c = _published()
  demo = not (arg.data or arg.fake or arg.smoke)
  c.data.kind = "demo_stills" if demo else "stills" if arg.data else "fake"
  c.data.root = arg.data
  if demo or arg.small:
    _small(c)
  if arg.smoke:
    _smoke(c)
  _vary(c, arg.variant)
  return c


def _published() -> ml_collections.ConfigDict:
  """Every key there is; what the paper leaves open is recommended."""
  c = ml_collections.ConfigDict()
  c.system = "layered_gan"
  c.variant = "paper"
  c.seed = 0
  c.batch_size = 64  # global; must be a multiple of the number of devices
  c.num_steps = 210_000

  # How often, in steps.
  c.log_every = 50
  c.checkpoint_every = 2_000
  c.eval_every = 42_000  # at the ends of rounds; 0: at the end only
  c.sample_every = 2_000
  c.alarm_after = 15_000  # before it, nobody expects layers
  c.keep_checkpoints = 2

  # What the program runs on decides `auto` (foregan_jax/runtime/platform.py).
  c.dtype = "auto"
  c.scan_unroll = "auto"
  c.remat = "auto"

  # Start from the weights of another run: its workdir and some of its items.
  c.init_from = ml_collections.ConfigDict()
  c.init_from.workdir = ""
  c.init_from.checkpoint_items = ("gan", "segmenter")
  c.init_from.step = "best"  # best | latest | a number
  c.init_from.weights = ""  # a file, for systems that can read one

  c.data = d = ml_collections.ConfigDict()
  d.kind = "stills"  # stills | demo_stills | fake
  d.root = ""
  d.train_split = "train"
  d.eval_split = "val"
  d.size = 128  # side of the pictures
  d.slack = 16  # training pictures come larger, for random windows
  d.threads = 8
  d.prefetch = 16

  c.nets = n = ml_collections.ConfigDict()
  n.width, n.residuals = 64, 2
  n.critic_width = 64
  n.seg_width, n.seg_depth = 32, 4

  # Lengths of the public code and numbers of private codes and superclasses.
  c.codes = ml_collections.ConfigDict(dict(public=100, private=200, groups=20))
  c.perturbation = "paper"  # none | paper | perturbgan | c3_strong | c3_weak
  c.adversarial = "ns"  # ns | hinge

  # Weights of the losses; 0 switches a term off.
  c.w_generator = ml_collections.ConfigDict(
    dict(adv=1.0, info=1.0, binary=2.0, bg_seg=1.0, area=0.0, leak=0.0)
  )
  c.bg_seg_every = 1  # one background in so many is shown to the segmenter
  c.w_critic = ml_collections.ConfigDict(dict(adv=1.0, info=1.0))
  c.w_segmenter = ml_collections.ConfigDict(dict(bce=1.0, iou=0.0))
  c.min_area = 0.03  # of a drawn object from which the segmenter learns
  c.augment = ml_collections.ConfigDict()
  c.augment.colour = (0.2, 0.2, 0.2, 0.05)
  c.augment.degrees = 0.0
  c.augment.scale = (1.0, 1.0)
  c.augment.shift = (0.0, 0.0)
  c.augment.recompose = 0.0

  # A round: steps of generator and critic, then of the segmenter; gan=0: all
  # three in every step.
  c.turn = ml_collections.ConfigDict(dict(gan=40_000, seg=2_000))
  c.schedule = ml_collections.ConfigDict()
  c.schedule.bg_seg_start = 42_000
  c.schedule.bg_seg_ramp = 1_000
  c.schedule.area_early = (0.05, 0.9)  # of the mask, see w_generator.area
  c.schedule.area_late = (0.05, 0.9)
  c.schedule.area_start, c.schedule.area_ramp = 0, 0
  c.schedule.leak_early = 0.2
  c.schedule.leak_late = 10_000

  c.optim = ml_collections.ConfigDict()
  c.optim.generator = optimizers.adam(learning_rate=2e-4, b1=0.5)
  c.optim.critic = optimizers.adam(learning_rate=2e-4, b1=0.5)
  c.optim.segmenter = optimizers.adam(learning_rate=1e-3, b1=0.9)
  c.ema_decay = 0.999
  c.ema_nets = ("gb", "gf")

  c.eval = ml_collections.ConfigDict()
  c.eval.sequences = 200  # pictures scored while training; 0: all
  c.eval.pictures = True
  c.eval.inception = ""  # weights of FID's Inception network; "": no FID
  c.eval.num_drawn = 10_000  # pictures drawn for it
  return c


def _small(c: ml_collections.ConfigDict) -> None:
  """What two CPU cores can do in a quarter of an hour."""
  c.variant = "small"
  c.batch_size = 32
  c.num_steps = 1_900
  c.eval_every = 0
  c.checkpoint_every = c.sample_every = 500
  c.alarm_after = 1_000
  c.data.size, c.data.slack = 32, 4
  c.nets.width, c.nets.residuals = 16, 0
  c.nets.critic_width = 32
  c.nets.seg_width, c.nets.seg_depth = 12, 3
  c.codes.private, c.codes.groups = 40, 8
  # Drawn pictures have few colours and plain backgrounds; real ones have not.
  c.augment.colour, c.augment.recompose = (0.4, 0.4, 0.4, 0.5), 0.8
  c.augment.degrees, c.augment.scale = 15.0, (0.8, 1.25)
  c.augment.shift = (0.12, 0.12)
  # In so few steps, masks that nobody pushes stay grey, and some empty.
  c.optim.generator.learning_rate = c.optim.critic.learning_rate = 1e-3
  c.w_generator.binary = 4.0
  # A segmenter this young finds objects in every picture: at 1 it is fooled.
  c.w_generator.bg_seg, c.bg_seg_every = 0.1, 4
  c.w_generator.area = 10.0
  c.schedule.area_early, c.schedule.area_late = (0.08, 0.6), (0.08, 0.3)
  c.schedule.area_start, c.schedule.area_ramp = 400, 300
  c.turn.gan, c.turn.seg = 750, 200
  c.schedule.bg_seg_start, c.schedule.bg_seg_ramp = 950, 100
  c.schedule.leak_late = 100
  c.ema_decay = 0.995


def _vary(c: ml_collections.ConfigDict, variant: str) -> None:
  """Takes one part away, or adds ILSGAN's layer independence."""
  if variant != "full":
    c.variant = f"{c.variant}, {variant}"
  match variant:
    case "no_info":
      c.w_generator.info = c.w_critic.info = 0.0
    case "no_perturbation":
      c.perturbation = "none"
    case "no_bg_seg":
      c.w_generator.bg_seg = 0.0
    case "ils":
      c.w_generator.leak = 1.0


def _smoke(c: ml_collections.ConfigDict) -> None:
  """As little as shows that everything runs."""
  c.variant = "smoke"
  c.data.kind = "stills" if c.data.root else "fake"
  c.batch_size = 8
  c.num_steps = 3
  c.log_every = 1
  c.checkpoint_every, c.eval_every, c.sample_every = 2, 2, 2
  c.data.size, c.data.slack = 16, 2
  c.nets.width, c.nets.residuals = 4, 1
  c.nets.critic_width = 4
  c.nets.seg_width, c.nets.seg_depth = 4, 2
  c.codes.private, c.codes.groups = 6, 3
  c.w_generator.area = c.w_generator.leak = 1.0
  c.min_area = 0.0
  c.turn.gan, c.turn.seg = 1, 1
  c.schedule.bg_seg_start, c.schedule.bg_seg_ramp = 0, 1
  c.ema_decay = 0.9
