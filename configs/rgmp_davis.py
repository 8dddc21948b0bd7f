"""RGMP, stage 2: masks carried through annotated videos.

  python -m foregan_jax.main --config=configs/rgmp_davis.py \\
    --config.init_from.workdir=runs/rgmp_voc

goes on from stage 1 (configs/rgmp_voc.py) on the embedded demo videos for some
minutes on two CPU cores, and evaluates on others. Without `init_from` it
starts from nothing. On real data:

  python -m foregan_jax.main --config=configs/rgmp_davis.py:data=/datasets/DAVIS

trains the published network on crops of 256x512; one H100 is wanted. After the
colon, separated by commas:

  data=PATH        a DAVIS folder (JPEGImages, Annotations, ImageSets)
  resolution=NAME  folder below JPEGImages; found by itself if there is one
  year=2016|2017   which lists of sequences; 2017: every object by itself
  small            networks and pictures that two CPU cores can train
  fake             random arrays instead of data, for benchmarks
  smoke            tiny networks, a few steps, for tests
"""

import ml_collections

from foregan_jax.runtime import settings
from foregan_jax.synthesis import filming
from foregan_jax.systems.rgmp import base_config


def get_config(arg: str = "") -> ml_collections.ConfigDict:
  """Returns the config that the words after the colon ask for."""
  arg = settings.parse_arg(
    arg,
    data="",
    resolution="",
    year="2016",
    small=False,
    fake=False,
    smoke=False,
  )
  c = base_config.published("videos")
  c.num_steps = 50_000
  c.recurrence = 5_000
  demo = not (arg.data or arg.fake or arg.smoke)
  c.data.kind = "demo" if demo else "davis" if arg.data else "fake"
  c.data.root = arg.data
  c.data.year, c.data.resolution = arg.year, arg.resolution
  c.data.objects = -1 if arg.year == "2017" else 0
  # Frames left out between two of a clip: up to 5 more every 4000 steps.
  c.data.skips = ml_collections.ConfigDict(
    dict(most=25, raise_by=5, every=4_000)
  )
  c.clips = ml_collections.ConfigDict(filming.RECOMMENDED)
  c.clips.kind = "filmed"
  c.clips.size = (256, 512)
  if demo or arg.small:
    base_config.small(c)
    c.num_steps, c.recurrence = 350, 0
    c.data.skips.update(dict(most=2, raise_by=1, every=100))
    c.clips.size = (64, 96)
  if arg.smoke:
    base_config.smoke(c)
    c.clips.size = (32, 32)
  return c
