"""The systems by name. A new system is one more line here."""

from foregan_jax import game, tasks
from foregan_jax.runtime import limits
from foregan_jax.systems.animation import system as animation
from foregan_jax.systems.face_parts import system as face_parts
from foregan_jax.systems.face_transfer import system as face_transfer
from foregan_jax.systems.foregan import system as foregan
from foregan_jax.systems.layered_gan import system as layered_gan
from foregan_jax.systems.memory import system as memory
from foregan_jax.systems.rgmp import system as rgmp

SYSTEMS = {
  "animation": animation.from_config,
  "face_parts": face_parts.from_config,
  "face_transfer": face_transfer.from_config,
  "foregan": foregan.from_config,
  "layered_gan": layered_gan.from_config,
  "memory": memory.from_config,
  "rgmp": rgmp.from_config,
}


def build(config) -> game.System:
  """Return the system that `config.system` names.

  Raises:
    ValueError: if there is no such system, or for a bad config value.
  """
  if config.system not in SYSTEMS:
    raise ValueError(
      f"unknown system {config.system!r}; the systems are {sorted(SYSTEMS)}"
    )
  limits.check_numbers(config)
  return tasks.check(SYSTEMS[config.system](config))
