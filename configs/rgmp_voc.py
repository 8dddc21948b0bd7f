"""RGMP, stage 1: propagate masks through pseudo-videos made from stills.

  python -m foregan_jax.main --config=configs/rgmp_voc.py

trains on pseudo-videos of the embedded demo stills, about 4 minutes on two CPU
cores, and evaluates on demo videos. On real data:

  python -m foregan_jax.main \\
    --config=configs/rgmp_voc.py:data=/datasets/VOCdevkit,videos=/datasets/DAVIS

trains the published network at 256x256 and evaluates on DAVIS, which needs an
accelerator; this was never measured. `--config.init_from.weights=FILE` starts
from torchvision's ResNet-50. Stage 2 is configs/rgmp_davis.py. After the colon,
separated by commas:

  data=PATH        a VOCdevkit, or a DAVIS folder (its first frames are used)
  videos=PATH      a DAVIS folder to evaluate on
  resolution=NAME  folder below its JPEGImages; optional if there is only one
  year=2016|2017   which lists of sequences; 2017: each object separately
  preset=NAME      recipe: video (ours), paper (pairs), student (mirrored pairs)
  extra=PATH       folder of salient objects to cut out: ECSSD, MSRA10K, VOC,
                   ...; PATH+PATH for several (data.cut_out_roots)
  small            networks and frames that two CPU cores can train
  fake             random arrays instead of data, for benchmarks
  smoke            tiny networks, three steps, for tests
"""

import ml_collections

from foregan_jax.runtime import base_config, settings
from foregan_jax.synthesis import pseudo_video
from foregan_jax.systems.rgmp import defaults


def get_config(arg: str = "") -> ml_collections.ConfigDict:
  """Return the config for the words after the colon."""
  arg = settings.parse_arg(
    arg,
    **base_config.ARGUMENTS,
    videos="",
    resolution="",
    year="2016",
    preset=("video", "paper", "student"),
    extra="",
  )
  if bool(arg.data) != bool(arg.videos):
    raise ValueError("data= and videos= belong together: give both or none")
  if arg.extra and not arg.data:
    raise ValueError("extra= needs data=, whose pictures are the backgrounds")
  c = defaults.published(f"stills, {arg.preset}")
  demo = base_config.set_data(c, arg)
  c.data.root, c.data.train_root = arg.videos, arg.data
  c.num_steps = 200_000
  c.recurrence = 20_000  # a tenth of the steps for each number of frames
  c.data.samples = "instances"
  # RGMP's generator B. Without these folders `clips.staging.cut_out` is the
  # share of objects that are cut out and moved over another sample.
  c.data.cut_out_roots = tuple(filter(None, arg.extra.split("+")))
  c.data.still_size = 320  # clips are cut from the stills
  c.clips = ml_collections.ConfigDict(pseudo_video.PRESETS[arg.preset])
  c.clips.size = (256, 256)
  if demo or arg.small:
    defaults.small(c)
    c.num_steps, c.recurrence = 350, 50
    c.data.still_size, c.clips.size = 96, (64, 96)
  if arg.smoke:
    defaults.smoke(c)
    c.data.still_size, c.clips.size = 40, (32, 32)
  if arg.preset != "video":
    c.data.clip_len, c.recurrence = 2, 0  # a reference and one target
  return c
