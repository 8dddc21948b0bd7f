"""Which data a config asks for."""

import pathlib

import jax

from foregan_jax.data import clips, davis, fake, instances, stills, streams
from foregan_jax.demo import dataset as demo_dataset
from foregan_jax.demo import render

_OBJECTS = {0: davis.MERGED, -1: davis.ALL}
_FLOW = "auto"  # .flo files where a video has them, else estimated


def prepare(config, workdir: pathlib.Path) -> None:
  """Makes what is made once: the demo world. Only process 0 calls it."""
  if config.data.kind == "demo":
    demo_dataset.prepare(_root(config, workdir))
  if config.data.kind == "demo_stills":
    demo_dataset.prepare(_root(config, workdir), recipe=demo_dataset.SINGLES)


def point_at(config, root: str) -> None:
  """Changes a config so that it reads files of its layout below `root`."""
  videos = "clip_len" in config.data
  config.data.kind = "davis" if videos else "stills"
  config.data.root = root
  if videos:
    config.data.resolution = ""


def training(config, workdir: pathlib.Path, spec: dict):
  """Returns the source of training samples: `len` and `[i]`.

  Args:
    config: the run's config.
    workdir: where flows are cached, and beside which the demo data lies.
    spec: shapes and dtypes of one batch, for random data.
  """
  if config.data.kind == "fake":
    return fake.Fake(spec, seed=config.seed)
  if "stills" in config.data.kind:
    return _stills(config, workdir, config.data.train_split)
  if "skips" in config.data:
    return _clips(config, workdir)
  if "still" in config.data:
    return _instances(config, workdir)
  source = _davis(config, workdir, config.data.train_split)
  source.prepare(show_progress=jax.process_index() == 0)
  if "stills" not in spec:
    return source
  d = config.data.stills
  folder = d.root or _root(config, workdir) / render.STILLS
  beside = instances.Instances(
    folder, split=d.split, size=d.size, resolution=config.data.resolution
  )
  return streams.Streams(source, stills=beside)


def evaluation(config, workdir: pathlib.Path, split: str = ""):
  """Returns whole sequences, or `stills.Stills`.

  Args:
    config: the run's config.
    workdir: as for `training`.
    split: which; the one that is evaluated by default.
  """
  split = split or config.data.eval_split
  if "stills" in config.data.kind:
    return _stills(config, workdir, split)
  if config.data.kind == "fake" and "clip_len" not in config.data:
    return fake.FakeStills(size=config.data.size, seed=config.seed)
  if config.data.kind == "fake":
    return fake.FakeVideos(
      size=(config.data.height, config.data.width),
      num_frames=2 * config.data.clip_len,
      seed=config.seed,
    )
  return _davis(config, workdir, split)


def benchmark(config) -> str:
  """Returns the name that results on the evaluation split go by."""
  d = config.data
  if d.kind not in ("davis", "stills"):
    return f"{d.kind}-{d.eval_split}"
  # The folder's name, so that results on several data sets stand side by side.
  name = pathlib.Path(d.root).resolve().name
  year = f"-{d.year}" if d.kind == "davis" else ""
  return f"{name}{year}-{d.eval_split}"


def _root(config, workdir: pathlib.Path) -> pathlib.Path:
  if config.data.root:
    return pathlib.Path(config.data.root)
  kind = config.data.kind
  return workdir.parent / ("demo_data" if kind == "demo" else kind)


def _davis(config, workdir: pathlib.Path, split: str) -> davis.Davis:
  d = config.data
  return davis.Davis(
    _root(config, workdir),
    year=d.year,
    split=split,
    resolution=d.resolution,
    objects=_OBJECTS[d.objects] if d.objects in _OBJECTS else d.objects,
    size=(d.height, d.width),
    clip_len=d.clip_len,
    flow=_FLOW,
    flow_cache=d.flow_cache or workdir.parent / "flow_cache",
  )


def _clips(config, workdir: pathlib.Path) -> clips.Clips:
  d = config.data
  return clips.Clips(
    # As it is written: what is prepared may lie in a cloud.
    d.train_root or d.root or _root(config, workdir),
    year=d.year,
    split=d.train_split,
    resolution=d.resolution,
    size=(d.height, d.width),
    clip_len=d.clip_len,
    skips=clips.Skips(**d.skips),
  )


def _instances(config, workdir: pathlib.Path) -> instances.Instances:
  d = config.data
  demo_stills = _root(config, workdir) / render.STILLS
  return instances.Instances(
    d.train_root or demo_stills,
    split=d.train_split,
    size=d.still,
    resolution=d.resolution,
  )


def _stills(config, workdir: pathlib.Path, split: str) -> stills.Stills:
  d = config.data
  root = _root(config, workdir)
  if d.kind == "demo_stills":
    root = root / render.SINGLES
  return stills.Stills(root, split=split, size=d.size, slack=d.slack)
