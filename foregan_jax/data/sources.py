"""Which data a config asks for."""

import pathlib

import jax

from foregan_jax.data import davis, demo, fake

_FLOW = "auto"  # .flo files where a video has them, else estimated


def prepare(config, workdir: pathlib.Path) -> None:
  """Makes what is made once: the demo world. Only process 0 calls it."""
  if config.data.kind == "demo":
    demo.prepare(_root(config, workdir))


def training(config, workdir: pathlib.Path, spec: dict):
  """Returns the source of training samples: `len` and `[i]`.

  Args:
    config: the run's config.
    workdir: where flows are cached, and beside which the demo data lies.
    spec: shapes and dtypes of one batch, for random data.
  """
  if config.data.kind == "fake":
    return fake.Fake(spec, seed=config.seed)
  source = _davis(config, workdir, config.data.train_split)
  source.prepare(show_progress=jax.process_index() == 0)
  return source


def evaluation(config, workdir: pathlib.Path):
  """Returns the source of whole sequences: `names` and `sequence(name)`."""
  if config.data.kind == "fake":
    return fake.FakeVideos(
      size=(config.data.height, config.data.width),
      num_frames=2 * config.data.clip_len,
      seed=config.seed,
    )
  return _davis(config, workdir, config.data.eval_split)


def benchmark(config) -> str:
  """Returns the name that results on the evaluation split go by."""
  d = config.data
  if d.kind != "davis":
    return f"{d.kind}-{d.eval_split}"
  # The folder's name, so that results on several data sets stand side by side.
  return f"{pathlib.Path(d.root).resolve().name}-{d.year}-{d.eval_split}"


def _root(config, workdir: pathlib.Path) -> pathlib.Path:
  if config.data.root:
    return pathlib.Path(config.data.root)
  return workdir.parent / "demo_data"


def _davis(config, workdir: pathlib.Path, split: str) -> davis.Davis:
  d = config.data
  return davis.Davis(
    _root(config, workdir),
    year=d.year,
    split=split,
    resolution=d.resolution,
    objects=d.objects or davis.MERGED,
    size=(d.height, d.width),
    clip_len=d.clip_len,
    flow=_FLOW,
    flow_cache=d.flow_cache or workdir.parent / "flow_cache",
  )
