"""RGMP, stage 1: masks carried through clips that are made of stills.

  python -m foregan_jax.main --config=configs/rgmp_voc.py

trains on clips of the embedded demo stills for some minutes on two CPU cores
and evaluates on demo videos that the network has not seen. On real data:

  python -m foregan_jax.main \\
    --config=configs/rgmp_voc.py:data=/datasets/VOCdevkit,videos=/datasets/DAVIS

trains the published network at 256x256 and evaluates on DAVIS; one H100 is
wanted. `--config.init_from.weights=FILE` starts from torchvision's ResNet-50.
Stage 2 is configs/rgmp_davis.py. After the colon, separated by commas:

  data=PATH        a VOCdevkit, or a DAVIS folder, whose first frames are taken
  videos=PATH      a DAVIS folder to evaluate on
  resolution=NAME  folder below its JPEGImages; found by itself if there is one
  year=2016|2017   which lists of sequences; 2017: every object by itself
  preset=NAME      how clips are made: video, paper, student
  small            networks and pictures that two CPU cores can train
  fake             random arrays instead of data, for benchmarks
  smoke            tiny networks, a few steps, for tests
"""

import ml_collections

from foregan_jax.runtime import settings
from foregan_jax.synthesis import pseudo_video
from foregan_jax.systems.rgmp import base_config


def get_config(arg: str = "") -> ml_collections.ConfigDict:
  """Returns the config that the words after the colon ask for."""
  arg = settings.parse_arg(
    arg,
    data="",
    videos="",
    resolution="",
    year="2016",
    preset=("video", "paper", "student"),
    small=False,
    fake=False,
    smoke=False,
  )
  if bool(arg.data) != bool(arg.videos):
    raise ValueError("data= and videos= belong together: give both, or none")
  c = base_config.published(f"stills, {arg.preset}")
  c.num_steps = 200_000
  c.recurrence = 20_000
  demo = not (arg.data or arg.fake or arg.smoke)
  c.data.kind = "demo" if demo else "davis" if arg.data else "fake"
  c.data.root, c.data.train_root = arg.videos, arg.data
  c.data.year, c.data.resolution = arg.year, arg.resolution
  c.data.objects = -1 if arg.year == "2017" else 0
  c.data.still = 320  # side of the stills; clips are cut from them
  c.clips = ml_collections.ConfigDict(pseudo_video.PRESETS[arg.preset])
  c.clips.kind = "stills"
  c.clips.size = (256, 256)
  if demo or arg.small:
    base_config.small(c)
    c.num_steps, c.recurrence = 350, 100
    c.data.still, c.clips.size = 96, (64, 96)
  if arg.smoke:
    base_config.smoke(c)
    c.data.still, c.clips.size = 40, (32, 32)
  if arg.preset == "student":
    c.data.clip_len = 2  # a picture and its mirror
  return c
