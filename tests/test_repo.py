"""Rules of the repository: import directions, configs, lengths of files."""

import ast
import importlib
import pathlib
import pkgutil
import subprocess
import sys

import jax
import jax.numpy as jnp
import ml_collections
import pytest

import foregan_jax
from foregan_jax import game, stepper, systems
from foregan_jax.runtime import base_config, platform, settings
from foregan_jax.systems.foregan import variants

_ROOT = pathlib.Path(__file__).resolve().parents[1]
_PACKAGE = _ROOT / "foregan_jax"
_MAX_LINES = 400
# The parts of the package that each part may import, beside itself.
_MAY_IMPORT = {
  "storage": set(),
  "layers": set(),
  "media": {"storage"},
  "metrics": {"storage"},
  "runtime": {"storage"},
  "synthesis": {"layers"},
  "demo": {"media"},
  "data": {"demo", "media", "storage"},
  "game": set(),
  "items": {"game"},
  "tasks": {"game"},
  "losses": {"layers"},
  "nets": {"layers", "runtime"},
  "players": {"game", "layers", "losses", "nets", "runtime", "synthesis"},
  "systems": {
    "game", "layers", "losses", "nets", "players", "runtime", "synthesis",
    "tasks",
  },
  "stepper": {"game", "runtime"},
  "evaluators": {
    "data", "game", "layers", "media", "metrics", "nets", "runtime", "storage",
    "tasks",
  },
  "predictors": {
    "data", "game", "layers", "media", "nets", "runtime", "storage", "tasks",
  },
  "runs": {"game", "items", "runtime", "storage", "systems", "tasks"},
  "weight_files": {"game", "runs", "runtime", "storage", "systems"},
  "face_models": {"predictors"},
  "models": {
    "face_models", "media", "predictors", "runs", "runtime", "storage", "tasks",
    "weight_files",
  },
}  # fmt: skip
# Files of these folders must not import each other.
_INDEPENDENT = ("players", "systems")
_CONFIGS = sorted(p.stem for p in (_ROOT / "configs").glob("*.py"))


def _modules():
  found = pkgutil.walk_packages(foregan_jax.__path__, "foregan_jax.")
  return sorted(module.name for module in found)


def _imports(path):
  """Yield the modules of the package that a file imports, as dotted names."""
  for node in ast.walk(ast.parse(path.read_text())):
    names = []
    if isinstance(node, ast.Import):
      names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and node.module:
      names = [f"{node.module}.{alias.name}" for alias in node.names]
    for name in names:
      if name.startswith("foregan_jax."):
        yield name.removeprefix("foregan_jax.")


@pytest.mark.parametrize("name", _modules())
def test_every_module_can_be_imported(name):
  importlib.import_module(name)


def test_imports_run_one_way():
  violations = []
  for path in sorted(_PACKAGE.rglob("*.py")):
    relative = path.relative_to(_PACKAGE)
    place = relative.parts[0].removesuffix(".py")
    if place not in _MAY_IMPORT:
      continue  # train, evaluate, predict, bench and main may import all
    for name in _imports(path):
      target = name.split(".")[0]
      if target != place and target not in _MAY_IMPORT[place]:
        violations.append(f"{relative} imports {name}")
      if target == place and place in _INDEPENDENT and len(relative.parts) > 1:
        own = relative.parts[1].removesuffix(".py")  # the player or system
        if own != "__init__" and name.split(".")[1] != own:
          violations.append(f"{relative} imports {name} of the same folder")
  assert not violations


def test_no_file_is_too_long():
  files = [p for p in _ROOT.rglob("*.py") if ".venv" not in p.parts]
  long = {
    str(p.relative_to(_ROOT)): n
    for p in files
    if (n := len(p.read_text().splitlines())) > _MAX_LINES
  }
  assert not long


def test_no_config_key_has_a_hidden_default():
  hidden = [
    p.name
    for p in _PACKAGE.rglob("*.py")
    if "config.get(" in p.read_text() or "cfg.get(" in p.read_text()
  ]
  assert not hidden


@pytest.mark.parametrize("arg", ["", "smoke", "fake", "fake,small"])
@pytest.mark.parametrize("name", _CONFIGS)
def test_configs_load_and_build(name, arg):
  module = importlib.import_module(f"configs.{name}")
  config = module.get_config(arg)
  assert isinstance(config, ml_collections.ConfigDict)
  assert f"--config=configs/{name}.py" in module.__doc__
  system = systems.build(config)
  # A disabled player keeps the config of its optimiser.
  assert {p.name for p in system.players} <= set(config.optim)


@pytest.mark.parametrize("arg", ["", "smoke", "fake", "fake,small"])
@pytest.mark.parametrize("name", _CONFIGS)
def test_configs_have_the_keys_of_the_base(name, arg):
  """Shared groups have exactly the keys of the base config."""
  config = importlib.import_module(f"configs.{name}").get_config(arg)
  keys = lambda c: set(settings.flatten(settings.to_json(c)))
  base = base_config.base()
  if name.startswith("face_"):
    base_config.add_faces(base)
  base, full = keys(base), keys(config)
  shared = ("data.", "eval.", "init_from.")
  # `optim` has a group per player instead of the empty default.
  assert base - {"optim"} <= full
  assert {k for k in full - base if k.startswith(shared)} == set()
  modes = {a: keys(importlib.import_module(f"configs.{name}").get_config(a))
           for a in ("", "smoke")}  # fmt: skip
  assert modes[""] == modes["smoke"]
  # What a run writes, prediction and evaluation accept.
  written = ml_collections.ConfigDict(settings.tuples(settings.to_json(config)))
  base_config.check(written, settings.FILE)


def test_configs_load_from_any_directory(tmp_path):
  code = (
    "from ml_collections import config_flags;"
    "from foregan_jax.runtime import cli;"
    "f = config_flags.DEFINE_config_file('config');"
    "cli.run(lambda: print(f.value.system))"
  )
  done = subprocess.run(
    [sys.executable, "-c", code, "--config=configs/davis.py:smoke"],
    cwd=tmp_path, capture_output=True, text=True, check=False,
  )  # fmt: skip
  assert done.returncode == 0, done.stderr
  assert done.stdout.strip() == "foregan"


@pytest.mark.parametrize("variant", variants.VARIANTS)
def test_every_variant_builds(variant):
  """Trace the rollout and the losses without compilation."""
  davis = importlib.import_module("configs.davis")
  config = davis.get_config(f"smoke,variant={variant}")
  system = systems.build(config)
  generator, *others = system.players
  batch = {**system.batch_spec(config.batch_size), "step": jnp.int32(0)}
  state = _state(config, system)

  def losses(nets, batch, key):
    one, made = generator.loss(nets, batch, key)
    batch |= made.offers
    more = [player.loss(nets, batch, key)[0] for player in others]
    return [one, *more]

  nets = game.Nets(state.params, state.variables)
  values = jax.eval_shape(losses, nets, batch, platform.key(0))
  assert set(state.params) == set(system.nets) >= {"gf", "gb", "df", "db"}
  assert all(value.shape == () for value in values)
  # Averages exist for the nets of the variant only.
  assert set(state.ema) == set(system.nets) & set(config.ema_nets)
  assert set(state.opt) == {player.name for player in system.players}


def test_variants_have_the_published_values():
  """The values are those of the table in VOS-ForeGAN, sec. 14."""
  davis = importlib.import_module("configs.davis")
  get = lambda name: davis.get_config(f"fake,variant={name}")
  for name, t, count, stride, every, batch in (
    ("exp1", 4, 12, (15, 20), 1, 2),
    ("exp2", 4, 40, (10, 12), 1, 2),
    ("exp3", 4, 40, (10, 12), 1, 2),
    ("exp4", 6, 30, (10, 12), 1, 1),
    ("exp5", 6, 30, (2, 2), 4, 1),
    ("exp6_rnn0", 7, 10, (2, 2), 5, 1),
    ("baseline", 8, 10, (3, 3), 3, 1),
    ("dmask", 8, 10, (3, 3), 5, 1),
    ("dmask_prop", 8, 10, (3, 3), 5, 1),
    ("noof", 4, 10, (3, 3), 1, 1),
    ("convlstm_feat", 5, 8, (3, 3), 5, 1),
  ):
    c = get(name)
    assert (c.data.clip_len, c.db.count, c.db.stride) == (t, count, stride)
    assert (c.turn.generator_every, c.batch_size) == (every, batch), name
  canonical = get("dmask_prop")
  assert canonical.w_critic.to_dict() == {
    "fg": 10.0, "mask": 10.0, "fg_gp": 1.0, "bg": 0.05, "bg_gp": 0.05,
  }  # fmt: skip
  assert canonical.gf.mask_slope == 20.0
  # Our terms are disabled in the published experiments.
  for name in variants.VARIANTS:
    if name not in variants.GAME:
      w = get(name).w_generator
      assert not any((w.warp, w.bg_seg, w.area, w.binary, w.agree)), name
      assert not get(name).gf.carried


@pytest.mark.parametrize(
  ("key", "value", "message"),
  [
    ("composition", "aplha", "Did you mean 'alpha'"),
    ("db.fakes", "msak", "one of uniform, mask, mixed"),
    ("data.clip_len", 1, "at least 2"),
    ("data.width", 50, "multiples of 4"),
    ("segmenter_frames", 0, "between 1 and"),
    ("db.patch", (60, 112), "does not fit"),
    ("variant", "baseline", "variant=baseline"),
    ("turn.segmenter_every", 0, "bg_seg is 1.0 and needs the segmenter"),
    ("turn.critic_every", 0, "need the critic, but it is disabled"),
    ("turn.generator_every", 0, "generator_every is 0, but must be 1 or more"),
    ("turn.propagator_start", -1, "must be 0 or more"),
    ("clips.rollouts", -1.0, "weights of 0 or more"),
    ("clips.clip_len", 4, "between 2 and data.clip_len, 3"),
    ("clips.size", (32, 40), "multiples of 32"),
    ("clips.times", 0, "must be 1 or more"),
  ],
)
def test_bad_values_raise_one_sentence(key, value, message):
  davis = importlib.import_module("configs.davis")
  config = davis.get_config("smoke")
  config.update_from_flattened_dict({key: value})
  with pytest.raises(ValueError, match=message):
    systems.build(config)


def test_foregan_builds_without_a_critic():
  davis = importlib.import_module("configs.davis")
  config = davis.get_config("smoke,variant=gan_segmenter")
  config.turn.critic_every, config.turn.generator_every = 0, 1
  config.w_generator.update(dict(fg=0.0, mask=0.0, bg=0.0))
  system = systems.build(config)
  assert [p.name for p in system.players] == ["generator", "segmenter"]
  assert system.checkpoint_items["gan"] == ("gf", "gb")
  assert set(_state(config, system).params) == {"gf", "gb", "seg"}


def _state(config, system):
  """Return the shapes of a run's first state."""
  tx = stepper.make_optimizers(config, system)
  make = stepper.make_init(config, system, tx, None)
  return jax.eval_shape(make, platform.key(0))


def test_agree_loss_needs_segmenter_and_propagator():
  davis = importlib.import_module("configs.davis")
  config = davis.get_config("smoke,variant=full")
  config.turn.propagator_every = 0
  with pytest.raises(ValueError, match="needs segmenter and propagator"):
    systems.build(config)


def test_unknown_variant_raises_one_sentence():
  davis = importlib.import_module("configs.davis")
  with pytest.raises(ValueError, match="unknown variant 'dmaks'"):
    davis.get_config("smoke,variant=dmaks")
