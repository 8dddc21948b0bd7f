import jax
import jax.numpy as jnp
import numpy as np

from foregan_jax.layers import recurrent


def test_step_equals_the_equations(key):
  x = jax.random.normal(key, (2, 4, 5, 3))
  state = recurrent.initial_state(2, 4, 5, 3, jnp.float32)
  module = recurrent.ConvLSTM(3)
  params = module.init(key, x, state)
  kernel = jnp.zeros((3, 3, 6, 12))
  for gate in range(4):  # Each gate gets x + 2 hidden of the same pixel.
    eye = jnp.eye(3)
    part = slice(3 * gate, 3 * gate + 3)
    kernel = kernel.at[1, 1, :3, part].set(eye)
    kernel = kernel.at[1, 1, 3:, part].set(2 * eye)
  bias = jnp.repeat(jnp.array([0.1, 0.2, 0.3, 0.4]), 3)
  params = {"params": {"gates": {"kernel": kernel, "bias": bias}}}
  sigmoid = lambda v: 1 / (1 + np.exp(-v))
  cell, hidden = np.zeros(x.shape), np.zeros(x.shape)
  for _ in range(2):
    state = module.apply(params, x, state)
    v = np.asarray(x) + 2 * hidden
    i, f, o, g = (v + b for b in (0.1, 0.2, 0.3, 0.4))
    cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
    hidden = sigmoid(o) * np.tanh(cell)
    np.testing.assert_allclose(state[0], cell, atol=1e-5)
    np.testing.assert_allclose(state[1], hidden, atol=1e-5)


def test_number_of_parameters_equals_the_paper(key):
  module = recurrent.ConvLSTM(64)
  state = recurrent.initial_state(1, 1, 1, 64, jnp.float32)
  x = jnp.zeros((1, 1, 1, 64))
  params = jax.eval_shape(module.init, key, x, state)
  assert sum(p.size for p in jax.tree.leaves(params)) == 9 * 128 * 256 + 256
