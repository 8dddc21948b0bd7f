"""Image animation with perturbed masks, and backgrounds swapped behind it.

  python -m foregan_jax.main --config=configs/animation.py

trains on the embedded demo videos, then reconstructs other videos from their
first frames and prints the errors. On your own videos (layouts:
foregan_jax/data/unlabelled_videos.py; no masks are needed):

  python -m foregan_jax.main --config=configs/animation.py:data=/datasets/vox

trains the published networks at 256x256, which needs an accelerator; this was
never measured. After the colon, separated by commas:

  data=PATH        folders of frames, video files, or strips of frames
  vgg=PATH         VGG-19's weights: torchvision's .pth, .safetensors or .npz
  perceptual=NAME  random (default without vgg=) | trunk (ImageNet features of
                   the extra `pretrained`); their losses cannot be compared
  preset=vox|taichi  threshold of the masks and features of the published
                   configs
  small            networks and images that two CPU cores can train
  fake             random arrays instead of data, for benchmarks
  smoke            tiny networks, three steps, for tests
"""

import ml_collections

from foregan_jax.runtime import base_config, optimizers, settings

_LATE = {"refiner": 1, "bg_base": 2, "bg_refine": 2}  # first epochs
_EPOCHS, _DROPS = 100, (60, 90)


def get_config(arg: str = "") -> ml_collections.ConfigDict:
  """Return the config for the words after the colon."""
  arg = settings.parse_arg(
    arg, **base_config.ARGUMENTS, vgg="", perceptual=("random", "trunk"),
    preset=("vox", "taichi"),
  )  # fmt: skip
  c = _published(arg.preset)
  demo = base_config.set_data(c, arg)
  if demo or arg.small:
    _small(c)
  if arg.smoke:
    _smoke(c)
  if arg.perceptual == "trunk":
    c.perceptual.kind, c.perceptual.weights = "trunk", (10.0, 10.0, 10.0, 0.0)
  if arg.vgg:
    c.perceptual.update(dict(kind="vgg", file=arg.vgg, pixel=0.0))
  return c


def _published(preset: str) -> ml_collections.ConfigDict:
  """Return the published recipe; an epoch is a hundredth of the run."""
  c = base_config.base()
  c.system = "animation"
  c.variant = preset
  c.batch_size = 16
  c.num_steps = 100_000
  c.init_from.checkpoint_items = ("animator",)
  c.data.samples = "pairs"
  c.data.still_size = 256

  c.nets = n = ml_collections.ConfigDict()
  n.width = 64  # of all nets but m
  n.mask_width = 32  # of m
  n.cap = 1024  # largest number of channels
  n.levels = 5  # halvings in m, r and h
  n.residuals = 6  # blocks of l
  n.stride = 4  # the images' side over that of the masks
  n.border = True  # the masks have 3 black pixels at each side
  n.temperature = 0.1  # masks are sigmoid(logit / temperature)
  n.centred = False  # ours: the mean logit of a mask is 0
  n.mixes = False  # ours: generators mix their image with the moved input
  n.prior = 0.0  # ours: height of a bump at the centre in the masks' logits
  n.bn_scale_init = "ones"  # ones | uniform01 (PyTorch 1.0)
  c.background = True  # whether bg_base and bg_refine are trained

  # vgg | random | trunk, the weight file of `vgg` (of `trunk`: "" is the
  # installed package), and the width of `random`. Weights of the features (of
  # VGG: relu1_1, relu2_1, ..., relu5_1; of the trunk: at strides 4, 8, 16, 32)
  # and of the pixels; factors by which images are shrunk.
  c.perceptual = p = ml_collections.ConfigDict()
  p.kind, p.file, p.width = "random", "", 64
  p.weights, p.pixel = (10.0, 10.0, 10.0, 0.0, 0.0), 10.0
  p.scales = (1, 2, 4, 8)

  c.masks = k = ml_collections.ConfigDict()
  k.threshold = 100.0  # of 255, in both deformations and for the background
  k.predicted_scale = 1.0  # 0.75 in the code, 1 in the published pictures
  k.weight = 100.0  # of the refiner's loss
  k.cross_identity = True  # running statistics of r and l also of other masks
  if preset == "taichi":
    c.batch_size, k.threshold, p.weights = 20, 60.0, (10.0,) * 5
  # Brightness, contrast, saturation, hue.
  c.colour = (0.1, 0.1, 0.1, 0.1)
  c.starts = ml_collections.ConfigDict(dict(refiner=0, background=0))
  for player in ("animator", "painter", *_LATE):
    c.optim[player] = optimizers.adam(learning_rate=2e-4, b1=0.5)
  _set_epoch(c, c.num_steps // _EPOCHS)
  c.eval.limit = 20
  return c


def _set_epoch(c: ml_collections.ConfigDict, steps: int) -> None:
  """Set what the method defines in epochs; an optimiser counts its updates."""
  c.starts.refiner = _LATE["refiner"] * steps
  c.starts.background = _LATE["bg_base"] * steps
  for player, optim in c.optim.items():
    first = _LATE.get(player, 0)
    optim.decay, optim.decay_factor = "step", 0.1
    with optim.ignore_type():
      optim.decay_steps = tuple((epoch - first) * steps for epoch in _DROPS)


def _small(c: ml_collections.ConfigDict) -> None:
  """Set sizes that two CPU cores train in a quarter of an hour."""
  c.variant = "small"
  c.batch_size = 8
  c.num_steps = 2_200
  c.eval_every = 0
  c.checkpoint_every = c.sample_every = 250
  c.data.threads = 2
  c.data.still_size = 64
  c.nets.width, c.nets.mask_width, c.nets.cap = 16, 16, 128
  # With four levels a mask passes features of 2x2 pixels and loses its limbs.
  c.nets.levels, c.nets.residuals = 2, 3
  # Masks of 32 pixels, without a border, which would be a fifth of them.
  c.nets.stride, c.nets.border = 2, False
  c.perceptual.width, c.perceptual.scales = 16, (1, 2, 4)
  # At such rates masks would become black and stay so, or white outside the
  # object; and all that does not move would have to be learnt first.
  c.nets.centred, c.nets.prior, c.nets.mixes = True, 0.5, True
  # Together, so that only two turns are compiled; once the masks are useful.
  c.starts.refiner = c.starts.background = c.num_steps * 3 // 5
  for optim in c.optim.values():
    optim.learning_rate = 5e-4
    with optim.ignore_type():
      # Most of the gain comes when the rate falls.
      optim.decay, optim.decay_steps = "cosine", 0


def _smoke(c: ml_collections.ConfigDict) -> None:
  """Set the smallest sizes that run everything."""
  base_config.set_smoke(c)
  c.variant = "smoke"
  c.batch_size = 4
  c.data.still_size = 16
  c.nets.width, c.nets.mask_width, c.nets.cap = 4, 4, 8
  c.nets.levels, c.nets.residuals, c.nets.stride = 1, 1, 2
  c.nets.border = False
  c.perceptual.width, c.perceptual.scales = 4, (1, 2)
  c.perceptual.weights = (10.0, 10.0, 0.0, 0.0, 0.0)
  c.starts.refiner = c.starts.background = 1
  c.eval.limit = 1
