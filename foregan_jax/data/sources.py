"""The data sources of a config."""

import pathlib
from collections.abc import Callable
from typing import Any

import jax

from foregan_jax import storage
from foregan_jax.data import (
  clips,
  davis,
  faces,
  fake,
  instances,
  pairs,
  stills,
  streams,
)
from foregan_jax.demo import dataset as demo_dataset
from foregan_jax.demo import render
from foregan_jax.media import paths

_OBJECTS = {0: davis.MERGED, -1: davis.ALL}
_PICTURES = "pictures"  # the only kind of sample that is evaluated as pictures
_PAIRS = "pairs"  # of frames, from videos without masks
_FACE_PAIRS, _FACES = "face_pairs", "faces"
_WITHOUT_YEAR = (_PICTURES, _PAIRS, _FACE_PAIRS, _FACES)
# What is embedded, by the kind of sample: its folder beside the workdir, and
# the arguments of `demo.dataset.prepare`.
_DEMO: dict[str, tuple[str, dict[str, Any]]] = {
  "videos": ("demo_data", {}),
  "clips": ("demo_data", {}),
  "instances": ("demo_data", {}),
  _PAIRS: ("demo_clips", {"recipe": demo_dataset.CLIPS_RECIPE}),
  _PICTURES: ("demo_stills", {"recipe": demo_dataset.SINGLES_RECIPE}),
  _FACE_PAIRS: ("demo_faces", {"recipe": demo_dataset.FACES_RECIPE}),
  _FACES: ("demo_faces", {"recipe": demo_dataset.FACES_RECIPE}),
}


def prepare(config, workdir: storage.Path) -> None:
  """Render the demo data if the config uses them.

  One process per folder is enough; several wait for each other.
  """
  if config.data.kind == "demo":
    _, arguments = _DEMO[config.data.samples]
    demo_dataset.prepare(_root(config, workdir), **arguments)


def point_at(config, root: str) -> None:
  """Change a config in place to read files of its layout below `root`."""
  config.data.kind = "files"
  config.data.root = root
  config.data.resolution = ""


def training(config, workdir: storage.Path, spec: dict):
  """Return the source of training samples: `len(source)` and `source[i]`.

  Args:
    config: the run's config.
    workdir: flows are cached and demo data are rendered in its
      `storage.cache`.
    spec: shapes and dtypes of one batch, for random data.

  Raises:
    ValueError: for an unknown `data.samples` or `data.kind`.
  """
  if config.data.samples not in _TRAINING:
    raise ValueError(
      f"data.samples is {config.data.samples!r}, but must be one of "
      f"{', '.join(_TRAINING)}"
    )
  if config.data.kind not in ("files", "demo", "fake"):
    raise ValueError(
      f"data.kind is {config.data.kind!r}, but must be files, demo or fake"
    )
  if config.data.kind == "fake":
    return fake.Fake(spec, seed=config.seed)
  return _TRAINING[config.data.samples](config, workdir, spec)


def evaluation(config, workdir: storage.Path, split: str = ""):
  """Return the data to evaluate on.

  It is `davis.Davis`, `stills.Stills`, `pairs.Pairs` with whole videos,
  `faces.FacePairs` or `faces.FaceStreams`.

  Args:
    config: the run's config.
    workdir: see `training`.
    split: "" = `data.eval_split`.
  """
  d = config.data
  split = split or d.eval_split
  if d.samples == _PICTURES:
    if d.kind == "fake":
      return fake.FakeStills(size=d.still_size, seed=config.seed)
    return _pictures(config, workdir, split)
  if d.samples == _PAIRS:
    if d.kind == "fake":
      return fake.FakeClips(size=d.still_size, seed=config.seed)
    return _pairs(config, workdir, split)
  if d.samples == _FACE_PAIRS:
    return _face_pairs(config, workdir, split)
  if d.samples == _FACES:
    return _faces(config, workdir, split)
  if d.kind == "fake":
    return fake.FakeVideos(
      size=(d.height, d.width), num_frames=2 * d.clip_len, seed=config.seed
    )
  return _sequences(config, workdir, split)


def benchmark(config) -> str:
  """Return the name of the evaluation data, for the folder of results.

  Raises:
    DataError: if the config's split or year is no name of a folder.
  """
  d = config.data
  paths.check_name(d.eval_split, "data.eval_split")
  paths.check_name(d.year, "data.year")
  if d.kind == "demo":
    folder, _ = _DEMO[d.samples]
    return f"{folder.removesuffix('_data')}-{d.eval_split}"
  if d.kind == "fake":
    return f"fake-{d.eval_split}"
  # The folder's name, so that results of several data sets differ.
  name = paths.full(d.root).name
  year = "" if d.samples in _WITHOUT_YEAR else f"-{d.year}"
  return f"{name}{year}-{d.eval_split}"


def _root(config, workdir: storage.Path) -> pathlib.Path:
  if config.data.root:
    return pathlib.Path(config.data.root)
  folder, _ = _DEMO[config.data.samples]
  return storage.cache(workdir) / folder


def _sequences(config, workdir: storage.Path, split: str) -> davis.Davis:
  d = config.data
  return davis.Davis(
    _root(config, workdir),
    year=d.year,
    split=split,
    resolution=d.resolution,
    objects=_OBJECTS.get(d.objects, d.objects),
    size=(d.height, d.width),
    clip_len=d.clip_len,
    flow=d.flow,
    flow_offset=d.flow_offset,
    flow_cache=d.flow_cache or storage.cache(workdir) / "flow_cache",
  )


def _pictures(config, workdir: storage.Path, split: str) -> stills.Stills:
  d = config.data
  root = _root(config, workdir)
  if d.kind == "demo":
    root = root / render.SINGLES
  return stills.Stills(
    root, split=split, size=d.still_size, slack=d.still_margin
  )


def _pairs(config, workdir: storage.Path, split: str) -> pairs.Pairs:
  d = config.data
  return pairs.Pairs(
    _root(config, workdir),
    split=split,
    size=d.still_size,
    year=d.year,
    resolution=d.resolution,
  )


def _face_pairs(config, workdir: storage.Path, split: str) -> faces.FacePairs:
  d = config.data

  def domain(emotion: str) -> faces.FaceSet:
    if d.kind == "fake":
      size, seed = d.face_size, config.seed
      return fake.FakeFaces(size=size, seed=seed, emotion=emotion)
    return faces.Faces(
      _faces_root(config, workdir),
      split=split,
      size=d.face_size,
      emotion=emotion,
      classes=d.classes,
      required=d.required,
    )

  return faces.FacePairs(domain(d.source), domain(d.target))


def _faces(config, workdir: storage.Path, split: str) -> faces.FaceStreams:
  d = config.data
  if d.kind == "fake":
    every = fake.FakeFaces(size=d.face_size, seed=config.seed)
    return faces.FaceStreams(every, every)
  root = _faces_root(config, workdir)
  every = faces.Faces(root, split=split, size=d.face_size, classes=d.classes)
  if d.kind == "demo":
    return faces.FaceStreams(every, every)
  if not d.labelled_root:
    return faces.FaceStreams(every)
  labelled = faces.Faces(
    d.labelled_root, split=split, size=d.face_size, need_parts=False
  )
  return faces.FaceStreams(every, labelled)


def _faces_root(config, workdir: storage.Path) -> pathlib.Path:
  root = _root(config, workdir)
  return root / render.FACES if config.data.kind == "demo" else root


def _videos(config, workdir: storage.Path, spec: dict):
  source = _sequences(config, workdir, config.data.train_split)
  source.cache_flows(show_progress=jax.process_index() == 0)
  return _with_stills(source, config, workdir, spec)


def _clips(config, workdir: storage.Path, spec: dict):
  d = config.data
  source = clips.Clips(
    # Not a pathlib.Path: prepared data may be in a cloud.
    d.train_root or d.root or _root(config, workdir),
    year=d.year,
    split=d.train_split,
    resolution=d.resolution,
    size=(d.height, d.width),
    clip_len=d.clip_len,
    skips=clips.Skips(**d.skips),
    distant_reference=d.distant_reference,
  )
  return _with_stills(source, config, workdir, spec)


def _with_stills(source, config, workdir: storage.Path, spec: dict):
  """Add stills of all roots to each sample, if the batch has them."""
  if "instances" not in spec:
    return source
  d = config.data
  several = [
    _stills(config, workdir, root, d.stills_split)
    for root in d.stills_root.split("+")
  ]
  return streams.Streams(source, instances=instances.Several(several))


def _instances(config, workdir: storage.Path, spec: dict):
  del spec
  d = config.data
  pictures = _stills(config, workdir, d.train_root, d.train_split)
  if not d.cut_out_roots:
    return pictures
  cut_outs = [
    _stills(config, workdir, root, d.train_split) for root in d.cut_out_roots
  ]
  return instances.Mixture(pictures, cut_outs, d.root_weights)


def _stills(config, workdir, root: str, split: str) -> instances.Instances:
  """Return stills with instance masks; without a root those of the demo."""
  return instances.Instances(
    root or _root(config, workdir) / render.STILLS,
    split=split,
    size=config.data.still_size,
    resolution=config.data.resolution,
  )


_TRAINING: dict[str, Callable[[Any, storage.Path, dict], Any]] = {
  "videos": _videos,
  "clips": _clips,
  "instances": _instances,
  _PAIRS: lambda config, workdir, spec: _pairs(
    config, workdir, config.data.train_split
  ),
  _PICTURES: lambda config, workdir, spec: _pictures(
    config, workdir, config.data.train_split
  ),
  _FACE_PAIRS: lambda config, workdir, spec: _face_pairs(
    config, workdir, config.data.train_split
  ),
  _FACES: lambda config, workdir, spec: _faces(
    config, workdir, config.data.train_split
  ),
}
