"""RGMP, stage 2: propagate masks through annotated videos.

  python -m foregan_jax.main --config=configs/rgmp_davis.py \\
    --config.init_from.workdir=runs/rgmp_voc

continues from stage 1 (configs/rgmp_voc.py) on the embedded demo videos, about
4 minutes on two CPU cores, and evaluates on other videos. On real data:

  python -m foregan_jax.main --config=configs/rgmp_davis.py:data=/datasets/DAVIS

trains the published network on crops of 256x512, which needs an accelerator;
this was never measured. After the colon, separated by commas:

  data=PATH        a DAVIS folder (JPEGImages, Annotations, ImageSets)
  resolution=NAME  folder below JPEGImages; optional if there is only one
  year=2016|2017   which lists of sequences; 2017: each object separately
  small            networks and frames that two CPU cores can train
  fake             random arrays instead of data, for benchmarks
  smoke            tiny networks, three steps, for tests
"""

import ml_collections

from foregan_jax.runtime import base_config, settings
from foregan_jax.synthesis import filming
from foregan_jax.systems.rgmp import defaults


def get_config(arg: str = "") -> ml_collections.ConfigDict:
  """Return the config for the words after the colon."""
  arg = settings.parse_arg(
    arg, **base_config.ARGUMENTS, resolution="", year="2016"
  )
  c = defaults.published("videos")
  demo = base_config.set_data(c, arg)
  c.num_steps = 50_000
  c.recurrence = 5_000
  c.data.samples = "clips"
  c.data.skips.update(dict(most=25, raise_by=5, every=4_000))
  c.clips = ml_collections.ConfigDict(filming.RECOMMENDED)
  c.clips.size = (256, 512)
  if demo or arg.small:
    defaults.small(c)
    c.num_steps, c.recurrence = 350, 0
    c.data.skips.update(dict(most=2, raise_by=1, every=100))
    c.clips.size = (64, 96)
  if arg.smoke:
    defaults.smoke(c)
    c.clips.size = (32, 32)
  return c
