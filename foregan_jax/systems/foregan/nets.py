"""The generators and critics of `foregan`, from its config."""

from flax import linen as nn

from foregan_jax.nets import critic as critic_net
from foregan_jax.nets import layer_generator
from foregan_jax.runtime import platform


def build(c) -> dict[str, nn.Module]:
  """Return `gf` and `gb`, and, unless they are disabled, `df` and `db`."""
  dtype = platform.dtype(c.dtype)
  trunk = {"width": c.nets.width, "num_blocks": c.nets.blocks, "dtype": dtype}
  time = {"num_steps": c.data.clip_len - 1, "state_channels": c.state_channels}
  nets: dict[str, nn.Module] = {
    "gf": layer_generator.LayerGenerator(
      temporal=c.gf.temporal,
      mask_source=c.gf.mask_source,
      mask_kernel=c.gf.mask_kernel,
      formula=c.gf.formula,
      affine=c.gf.affine,
      affine_align_corners=c.gf.affine_align_corners,
      **time,
      **trunk,
    ),
    "gb": layer_generator.LayerGenerator(
      temporal=c.gb.temporal,
      mask_source="none",
      formula=c.gb.formula,
      **time,
      **trunk,
    ),
  }
  if c.turn.critic_every:
    nets["df"] = critic_net.Critic(
      width=c.nets.critic_width,
      num_down=c.nets.critic_down,
      arch=c.df.arch,
      heads=tuple(c.df.heads),
      dtype=dtype,
    )
    nets["db"] = critic_net.Critic(
      width=c.nets.critic_width,
      num_down=c.nets.patch_down,
      heads=("fg",),
      dtype=dtype,
    )
  return nets
