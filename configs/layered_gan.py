"""Improved Layered GANs: learn layers and a segmenter from unlabelled pictures.

  python -m foregan_jax.main --config=configs/layered_gan.py

renders pictures of the embedded demo, trains about 9 minutes on two CPU cores,
evaluates the segmenter on other pictures and prints a table. On your own
pictures (layouts: foregan_jax/data/stills.py; CUB-200-2011 works as it is):

  python -m foregan_jax.main --config=configs/layered_gan.py:data=/datasets/CUB

trains the published networks at 128x128, which needs an accelerator; this was
never measured. After the colon, separated by commas:

  data=PATH        a folder of pictures
  variant=NAME     one of VARIANTS: the method without one of its parts
  small            networks and pictures that two CPU cores can train
  fake             random arrays instead of data, for benchmarks
  smoke            tiny networks, three steps, for tests
"""

import ml_collections

from foregan_jax.runtime import base_config, optimizers, settings

# The variants that `foregan_jax.ablate` compares.
VARIANTS = ("full", "no_info", "no_perturbation", "no_bg_seg", "ils")


def get_config(arg: str = "") -> ml_collections.ConfigDict:
  """Return the config for the words after the colon."""
  arg = settings.parse_arg(arg, **base_config.ARGUMENTS, variant=VARIANTS)
  c = _published()
  demo = base_config.set_data(c, arg)
  if demo or arg.small:
    _small(c)
  if arg.smoke:
    _smoke(c)
  _vary(c, arg.variant)
  return c


def _published() -> ml_collections.ConfigDict:
  """Return the published recipe; where the paper has none, our values."""
  c = base_config.base()
  c.system = "layered_gan"
  c.variant = "paper"
  c.batch_size = 64
  c.num_steps = 222_000
  c.eval_every = 42_000  # at the ends of rounds; see `turn`
  c.alarm_after = 15_000  # layers form later than this
  c.init_from.checkpoint_items = ("gan", "segmenter")
  c.data.samples = "pictures"
  c.data.still_size, c.data.still_margin = 128, 0

  c.nets = n = ml_collections.ConfigDict()
  n.width, n.residuals = 64, 2
  n.prior = 0.0  # ours: logits of the masks at the images' centre
  n.critic_width = 64
  n.seg_kind = "published"  # published | compact | trunk (ImageNet)
  n.seg_width, n.seg_depth = 64, 4
  # Of kind `trunk`: its weight file ("": the installed package), and channels
  # of the decoder at strides 16, 8 and 4.
  n.seg_trunk, n.seg_widths = "", (128, 96, 64)

  # Lengths of the public code and numbers of private codes and superclasses.
  c.codes = ml_collections.ConfigDict(dict(public=100, private=200, groups=20))
  c.perturbation = "paper"  # none | paper | perturbgan | c3_strong | c3_weak
  c.adversarial = "ns"  # ns | hinge

  # Whether the critic uses the generator's pictures of the same step (one
  # forward pass less), or draws new ones from the updated generator, as
  # algorithm 1 does.
  c.shared_fakes = False

  # Weights of the losses; 0 disables a term.
  c.w_generator = ml_collections.ConfigDict(
    dict(adv=1.0, info=1.0, binary=2.0, bg_seg=1.0, area=0.0, leak=0.0)
  )
  c.bg_seg_every = 1  # bg_seg uses every n-th background
  c.w_critic = ml_collections.ConfigDict(dict(adv=1.0, info=1.0))
  c.w_segmenter = ml_collections.ConfigDict(dict(bce=1.0, iou=0.0))
  c.min_area = 0.03  # smaller generated objects do not train the segmenter
  c.augment = ml_collections.ConfigDict()
  c.augment.colour = (0.2, 0.2, 0.2, 0.05)
  c.augment.degrees = 0.0
  c.augment.scale = (1.0, 1.0)
  c.augment.shift = (0.0, 0.0)
  c.augment.recompose = 0.0

  # A round: `gan` steps of generator and critic, then `seg` steps of the
  # segmenter; gan=0: all three in every step. From `final_start` on (0: never)
  # only the segmenter trains, again from its initial weights.
  c.turn = ml_collections.ConfigDict(
    dict(gan=40_000, seg=2_000, final_start=210_000)
  )
  c.schedule = ml_collections.ConfigDict()
  c.schedule.bg_seg_start = 42_000
  c.schedule.bg_seg_ramp = 1_000
  c.schedule.area_early = (0.05, 0.9)  # allowed area; see w_generator.area
  c.schedule.area_late = (0.05, 0.9)
  c.schedule.area_start, c.schedule.area_ramp = 0, 0
  c.schedule.leak_early = 0.2
  c.schedule.leak_late = 10_000

  c.optim.generator = optimizers.adam(learning_rate=2e-4, b1=0.5)
  c.optim.critic = optimizers.adam(learning_rate=2e-4, b1=0.5)
  for player in ("segmenter", "final_segmenter"):
    c.optim[player] = optimizers.adam(learning_rate=1e-3, b1=0.9)
  final = c.optim.final_segmenter
  final.decay, final.decay_steps, final.decay_factor = "step", 8_000, 0.2
  c.ema_decay = 0.999
  c.ema_nets = ("gb", "gf")
  c.eval.limit = 200
  return c


def _small(c: ml_collections.ConfigDict) -> None:
  """Set sizes that two CPU cores train in ten minutes."""
  c.variant = "small"
  c.batch_size = 32
  c.num_steps = 1_900
  c.eval_every = 0
  c.checkpoint_every = c.sample_every = 500
  c.alarm_after = 1_000
  c.data.still_size, c.data.still_margin = 32, 4
  c.nets.width, c.nets.residuals = 16, 0
  c.nets.critic_width = 32
  c.shared_fakes = True  # faster
  # Group norms and a mean over the picture, instead of batch norms.
  c.nets.seg_kind = "compact"
  c.nets.seg_width, c.nets.seg_depth = 12, 3
  c.codes.private, c.codes.groups = 40, 8
  # Generated pictures have few colours and plain backgrounds, unlike real ones.
  c.augment.colour, c.augment.recompose = (0.4, 0.4, 0.4, 0.5), 0.8
  c.augment.degrees, c.augment.scale = 15.0, (0.8, 1.25)
  c.augment.shift = (0.12, 0.12)
  # Without these, masks stay grey or empty in so few steps.
  c.optim.generator.learning_rate = c.optim.critic.learning_rate = 1e-3
  c.w_generator.binary = 4.0
  # This early, the segmenter finds objects in every picture; weight 1 harms.
  c.w_generator.bg_seg, c.bg_seg_every = 0.1, 4
  c.w_generator.area = 10.0
  c.schedule.area_early, c.schedule.area_late = (0.08, 0.6), (0.08, 0.3)
  c.schedule.area_start, c.schedule.area_ramp = 400, 300
  c.turn.gan, c.turn.seg, c.turn.final_start = 750, 200, 0
  c.schedule.bg_seg_start, c.schedule.bg_seg_ramp = 950, 100
  c.schedule.leak_late = 100
  c.ema_decay = 0.995


def _vary(c: ml_collections.ConfigDict, variant: str) -> None:
  """Remove one part, or add ILSGAN's layer independence."""
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
  """Set the smallest sizes that run everything."""
  base_config.set_smoke(c)
  c.variant = "smoke"
  c.batch_size = 8
  c.data.still_size, c.data.still_margin = 16, 2
  c.nets.width, c.nets.residuals = 4, 1
  c.nets.critic_width = 4
  c.nets.seg_width, c.nets.seg_depth = 4, 2
  c.codes.private, c.codes.groups = 6, 3
  c.w_generator.area = c.w_generator.leak = 1.0
  c.min_area = 0.0
  c.turn.gan, c.turn.seg, c.turn.final_start = 1, 1, 2
  c.schedule.bg_seg_start, c.schedule.bg_seg_ramp = 0, 1
