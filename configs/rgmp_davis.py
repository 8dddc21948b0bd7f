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
  year=2017|2016   which lists of sequences; 2017, the default for data=: each
                   object separately, 60 videos to train on; 2016: merged, 30
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
  arg = settings.parse_arg(arg, **base_config.ARGUMENTS, resolution="", year="")
  arg.year = arg.year or ("2017" if arg.data else "2016")
  c = defaults.published("videos")
  demo = base_config.set_data(c, arg)
  c.num_steps = 50_000
  c.recurrence = 5_000  # a tenth of the steps for each number of frames
  c.data.samples = "clips"
  c.data.skips.update(dict(most=25, raise_by=5, every=4_000))
  c.clips = ml_collections.ConfigDict(filming.RECOMMENDED)
  # Recommended; the paper gives neither this probability nor `min_pixels`.
  c.data.distant_reference = 0.3
  c.clips.size, c.clips.min_pixels = (256, 512), 100.0
  if demo or arg.small:
    defaults.small(c)
    c.num_steps, c.recurrence = 350, 0
    c.data.skips.update(dict(most=2, raise_by=1, every=100))
    c.data.distant_reference = 0.0
    c.clips.size, c.clips.min_pixels = (64, 96), 0.0
  if arg.smoke:
    defaults.smoke(c)
    c.clips.size, c.clips.min_pixels = (32, 32), 0.0
  return c
