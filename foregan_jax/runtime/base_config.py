"""Config keys of every run: the training loop, data and evaluation.

A file in `configs/` starts from `base()`, sets some of these keys and adds the
keys of its method. All configs therefore have the same keys here.
"""

import json

import ml_collections

from foregan_jax.runtime import settings

# Keys that a resumed run may change: durations, intervals, paths and speed.
# `runs.check` refuses another `num_steps` if a learning rate ends with the run.
MAY_CHANGE = (
  "num_steps", "log_every", "checkpoint_every", "eval_every", "sample_every",
  "keep_checkpoints", "alarm_after", "scan_unroll", "remat",
  "data.threads", "data.prefetch", "data.root", "data.train_root",
  "data.stills_root", "data.cut_out_roots", "data.flow_cache",
  "data.labelled_root",
  "eval.write_pictures", "eval.inception", "eval.num_drawn",
)  # fmt: skip
_FACE_SAMPLES = ("faces", "face_pairs")  # `data.samples` that need `add_faces`
# Arguments after the colon that every config accepts; `settings.parse_arg`.
ARGUMENTS = {"data": "", "small": False, "fake": False, "smoke": False}


def base() -> ml_collections.ConfigDict:
  """Return a config with every shared key and its default."""
  c = ml_collections.ConfigDict()
  c.system = ""  # one of `systems.SYSTEMS`
  c.variant = ""  # a label for tables
  c.seed = 0
  c.batch_size = 1  # global; must be a multiple of the number of devices
  c.num_steps = 0

  # Intervals in steps. 0: only at the end; `log_every` must be at least 1.
  c.log_every = 50
  c.checkpoint_every = 2_000
  c.eval_every = 10_000
  c.sample_every = 2_000
  c.alarm_after = 0  # the diagnosis of failing training starts at this step
  c.keep_checkpoints = 2  # the newest ones; the best one is kept as well

  # `auto` depends on the platform (foregan_jax/runtime/platform.py).
  c.dtype = "auto"  # auto | float32 | bfloat16
  c.scan_unroll = "auto"  # auto | full | loop
  c.remat = "auto"  # auto | on | off

  # Initialise from another run (its workdir and some of its checkpoint items)
  # or from a weight file of another program.
  c.init_from = ml_collections.ConfigDict()
  c.init_from.workdir = ""
  c.init_from.checkpoint_items = ()
  c.init_from.nets = ()  # of these items; (): all nets
  c.init_from.step = "best"  # best | latest | a number
  c.init_from.weights = ""

  c.data = d = ml_collections.ConfigDict()
  d.kind = "files"  # files | demo | fake
  # A training sample: videos (with flow) | clips (with labels) | instances
  # (a still with object labels) | pictures (one object, no label) | pairs (of
  # frames of a video, no label) | face_pairs (of two emotions, with parts) |
  # faces (with parts, and others with emotions).
  d.samples = "videos"
  d.root = ""  # demo: "" means a folder next to the workdir
  d.train_root = ""  # training data, if they are not in `root`
  d.train_split, d.eval_split = "train", "val"
  d.threads, d.prefetch = 8, 16
  # Videos and clips.
  d.year = "2016"  # which lists of DAVIS sequences
  d.resolution = ""  # "": the only folder below JPEGImages
  d.objects = 0  # 0: all as one; -1: each separately; k: the one with index k
  d.height, d.width = 480, 854  # of network frames
  d.clip_len = 6  # frames
  # Number of frames skipped between two frames of a clip: at most `most`. This
  # limit grows by `raise_by` every `every` steps.
  d.skips = ml_collections.ConfigDict(dict(most=0, raise_by=0, every=1))
  # auto (.flo files where a video has them, else dis) | flo | dis (estimated) |
  # zeros
  d.flow = "auto"
  d.flow_offset = 0  # 1: each step gets the flow of the next one, as published
  # Of clips: the probability that frame 0 is any frame of its video.
  d.distant_reference = 0.0
  d.flow_cache = ""  # "": flow_cache next to the workdir, shared by runs
  # Instances, pictures and pairs.
  d.still_size = 256  # side of the square stills or frames
  d.still_margin = 0  # training pictures are larger by this, for random crops
  # Folders of stills whose objects are cut out and moved over the stills of
  # `train_root`, and weights of `train_root` and of each of them; ():
  # `train_root` has half of the samples, the others theirs by size.
  d.cut_out_roots, d.root_weights = (), ()
  # A second stream of instances in addition to videos, if the system uses one;
  # several folders are joined by +.
  d.stills_root, d.stills_split = "", "train"

  c.optim = ml_collections.ConfigDict()  # per player; `optimizers.adam`
  c.ema_decay = 0.0  # of averaged weights; 0: none
  c.ema_nets = ()

  c.eval = ml_collections.ConfigDict()
  c.eval.limit = 0  # at most this many items during training; 0: all
  c.eval.write_pictures = True
  c.eval.inception = ""  # weights of FID's Inception network; "": no FID
  c.eval.num_drawn = 10_000  # pictures drawn for FID
  return c


def set_data(c: ml_collections.ConfigDict, arg) -> bool:
  """Set the data source from the arguments after the colon.

  Args:
    c: the config; changed in place.
    arg: parsed arguments, with at least `ARGUMENTS`; also `year` (2017: each
      object separately) and `resolution` if the system reads videos.

  Returns:
    Whether the run uses the embedded demo data.
  """
  demo = not (arg.data or arg.fake or arg.smoke)
  c.data.kind = "demo" if demo else "files" if arg.data else "fake"
  c.data.root = arg.data
  for name in ("year", "resolution"):
    if name in arg:
      c.data[name] = arg[name]
  if "year" in arg:
    c.data.objects = -1 if arg.year == "2017" else 0
  return demo


def add_faces(c: ml_collections.ConfigDict) -> None:
  """Add the keys of data of faces.

  They are not in `base`: a key of all configs makes every earlier run, and the
  packaged weights, a run of another version.
  """
  d = c.data
  d.face_size = 256  # side of the square faces
  d.source, d.target = "neutral", "happiness"  # emotions of pairs
  d.required = ("eyes", "brows", "lips")  # parts that must be visible
  # Classes of label maps: celebamask | fasseg | "" (the root's classes.json,
  # else celebamask).
  d.classes = ""
  d.labelled_root = ""  # faces with emotions, for the kind `faces`; "": none


def set_smoke(c: ml_collections.ConfigDict) -> None:
  """Set the shared keys of `smoke`: three steps that reach every action."""
  c.num_steps = 3
  c.log_every = 1
  c.checkpoint_every, c.eval_every, c.sample_every = 2, 2, 2
  c.ema_decay = 0.9


def check(config: ml_collections.ConfigDict, path) -> None:
  """Reject a config that another version of the program wrote.

  Args:
    config: the config of a workdir.
    path: its file, for the error message.

  Raises:
    ValueError: if shared keys are missing or unknown, or have values of another
      type; the error lists them.
  """
  values = _values(config)
  samples = "data.samples"
  example = base()
  if samples in values and json.loads(values[samples]) in _FACE_SAMPLES:
    add_faces(example)
  defaults = _values(example)
  expected, found = set(defaults), set(values)
  shared = tuple(f"{group}." for group in ("data", "eval", "init_from"))
  missing = sorted(expected - found)
  unknown = sorted(n for n in found - expected if n.startswith(shared))
  if missing or unknown:
    raise ValueError(
      f"{path} is a config of another version of foregan_jax: missing keys: "
      f"{', '.join(missing) or 'none'}; unknown keys: "
      f"{', '.join(unknown) or 'none'}. Use that version for this run, or "
      "train again in another workdir."
    )
  for name, text in values.items():
    if name in defaults and not _same_type(defaults[name], text):
      raise ValueError(
        f"{path} is damaged: {name} is {text[:80]}, but must be of the type of "
        f"{defaults[name]}"
      )


def _values(config: ml_collections.ConfigDict) -> dict[str, str]:
  """Return the values as JSON, by dotted name."""
  flat = settings.flatten(settings.to_json(config))
  flat.pop("optim", None)  # empty in the base; methods fill it by player
  return flat


def _same_type(default: str, text: str) -> bool:
  one, two = json.loads(default), json.loads(text)
  return type(one) is type(two) or (type(one), type(two)) == (float, int)
