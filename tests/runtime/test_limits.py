"""Config values that would fail late are refused before compilation."""

import importlib
import math

import ml_collections
import pytest

from foregan_jax import systems
from foregan_jax.runtime import limits


@pytest.mark.parametrize(
  ("name", "key", "value", "message"),
  [
    ("davis", "ema_decay", 2.0, "ema_decay is 2.0, .*at least 0 and below 1"),
    ("davis", "ema_decay", 1.0, "ema_decay is 1.0"),
    ("davis", "ema_nets", ("gf", "seq"), "'seq', .*Did you mean 'seg'"),
    ("davis", "ema_nets", (1, 2), "ema_nets has 1, but may only have"),
    ("davis", "df.heads", ("fg", "maks"), "'maks', .*Did you mean 'mask'"),
    ("davis", "sos.degree", 0, "sos.degree is 0, but must be between 1"),
    ("davis", "area_band", (2.0, 0.5), r"\(2.0, 0.5\), .*smallest, largest"),
    ("davis", "rollout.flow_clip", math.nan, "rollout.flow_clip is nan"),
    ("davis", "rollout.flow_clip", 0.0, "above 0 pixels"),
    ("davis", "nets.width", 0, "nets.width is 0, .* of at least 1"),
    ("davis", "nets.width", -4, "nets.width is -4"),
    ("davis", "db.patch", (0, 16), r"db.patch is \[0, 16\]"),
    ("davis", "db.stride", (4, 0), r"db.stride is \[4, 0\]"),
    ("davis", "db.count", 0, "db.count is 0"),
    ("davis", "gf.mask_kernel", 0, "gf.mask_kernel is 0"),
    ("davis", "optim.critic.learning_rate", 1e30, "critic.learning_rate is 1e"),
    ("davis", "optim.critic.learning_rate", math.inf, "learning_rate is inf"),
    ("davis", "optim.critic.decay_factor", 0.0, "decay_factor is 0.0, .*and 1"),
    ("davis", "optim.critic.decay_factor", 1.5, "decay_factor is 1.5"),
    ("davis", "optim.critic.decay_steps", -1, "decay_steps is -1"),
    ("davis", "data.threads", -1, "data.threads is -1"),
    ("davis", "data.prefetch", -1, "data.prefetch is -1"),
    ("davis", "log_every", 0, "log_every is 0"),
    ("davis", "db.patch", (7,), r"db.patch is \[7\], but must have 2 values"),
    ("davis", "prop.blocks", (1, 1), r"prop.blocks is \[1, 1\], .*have 4 val"),
    (
      "davis",
      "clips.filming.window.scale",
      (),
      r"scale is \[\], but must have",
    ),
    ("layered_gan", "augment.colour", (1.0,), "colour is .*, but must have 4"),
    ("rgmp_voc", "clips.size", (32,), r"clips.size is \[32\], but must have 2"),
    ("rgmp_voc", "nets.blocks", (1,), r"nets.blocks is \[1\], but must have 4"),
    ("davis", "nets.width", 10**12, "nets.width is 10{12}, .* most 2147483647"),
    ("davis", "jitter_next_frame", (-(10**400), 1), "but must be at most"),
    ("rgmp_davis", "recurrence", 10**12, "recurrence is 10{12}, but must be"),
    ("davis", "seed", -1, "seed is -1"),
    ("davis", "clips.filming.guidance.shift", math.nan, "shift is nan, .*fin"),
    ("layered_gan", "nets.width", 0, "nets.width is 0"),
    ("layered_gan", "ema_nets", ("fg",), "ema_nets has 'fg', but may only"),
    ("layered_gan", "schedule.area_late", (0.9, 0.1), "smallest, largest"),
    ("rgmp_voc", "bootstrap.share", 0.0, "bootstrap.share is 0.0"),
    ("rgmp_voc", "bootstrap.start", 80_000, "start, end.*smallest, largest"),
    ("rgmp_voc", "data.root_weights", (1, -1), r"root_weights is \[1, -1\]"),
    ("rgmp_davis", "data.distant_reference", 1.5, "between 0 and 1"),
    ("layered_gan", "schedule.area_late", (1.0,), r"1.0\], but must have 2 v"),
    ("rgmp_voc", "nets.blocks", (1, 0, 1, 1), r"nets.blocks is \[1, 0, 1, 1\]"),
    ("rgmp_davis", "tracker.scales", (1.0, math.inf), "tracker.scales is"),
  ],
)
def test_value_outside_its_limits_is_named(name, key, value, message):
  config = importlib.import_module(f"configs.{name}").get_config("smoke")
  config.update_from_flattened_dict({key: value})
  with pytest.raises(ValueError, match=message):
    systems.build(config)


def test_first_pattern_counts_and_other_values_pass():
  config = ml_collections.ConfigDict(
    {"a": {"b": 3, "c": True, "d": "x", "e": (1, 2)}, "f": -5}
  )
  limits.check_numbers(config, {"a.b": (3, 3), "a.*": (0, 2)})
  limits.check_numbers(ml_collections.ConfigDict({"a": {}, "b": (None, ())}))
  with pytest.raises(ValueError, match=r"a.e is \[1, 2\], .*between 0 and 1"):
    limits.check_numbers(config, {"a.b": (3, 3), "a.*": (0, 1)})
