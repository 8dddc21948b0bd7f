"""Convolutional LSTM."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from foregan_jax.layers import convs

State = tuple[Float[Array, "b h w d"], Float[Array, "b h w d"]]


class ConvLSTM(nn.Module):
  """One step of a convolutional LSTM with 3x3 gates (Shi et al. 2015).

  `i, f, o = sigmoid(.)` and `g = tanh(.)` come from one convolution over
  (x, hidden); `cell = f cell + i g`, `hidden = o tanh(cell)`. There are no
  peepholes and no forget bias, as in VOS-ForeGAN. The cell is always float32.
  """

  features: int
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Float[Array, "b h w c"], state: State) -> State:
    """Return the next (cell, hidden)."""
    cell, hidden = state
    gates = convs.Conv(
      4 * self.features,
      (3, 3),
      padding=(1, 1),
      use_bias=True,
      dtype=self.dtype,
      name="gates",
    )(jnp.concatenate([x, hidden.astype(x.dtype)], axis=-1))
    i, f, o, g = jnp.split(gates.astype(jnp.float32), 4, axis=-1)
    cell = nn.sigmoid(f) * cell + nn.sigmoid(i) * jnp.tanh(g)
    hidden = nn.sigmoid(o) * jnp.tanh(cell)
    return cell, hidden.astype(self.dtype)


def initial_state(
  batch: int, height: int, width: int, features: int, dtype: Any
) -> tuple[jax.Array, jax.Array]:
  """Return the initial (cell, hidden): zeros."""
  shape = (batch, height, width, features)
  return jnp.zeros(shape, jnp.float32), jnp.zeros(shape, dtype)
