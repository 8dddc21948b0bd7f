"""The methods: which nets, which players, whose turn, how to predict."""

from foregan_jax.systems.foregan import system as foregan
from foregan_jax.systems.layered_gan import system as layered_gan
from foregan_jax.systems.rgmp import system as rgmp

SYSTEMS = {
  "foregan": foregan.from_config,
  "layered_gan": layered_gan.from_config,
  "rgmp": rgmp.from_config,
}


def build(config):
  """Returns the system that `config.system` names.

  Raises:
    ValueError: if there is no such system.
  """
  if config.system not in SYSTEMS:
    raise ValueError(
      f"unknown system {config.system!r}; there are {sorted(SYSTEMS)}"
    )
  return SYSTEMS[config.system](config)
