import jax
import jax.numpy as jnp
import numpy as np

from foregan_jax.layers import codes, convs


def test_code_conv_equals_conv_of_broadcast_code(key):
  x = jax.random.normal(key, (2, 5, 6, 3))
  code = jax.random.normal(jax.random.key(1), (2, 4))
  net = codes.CodeConv(7, kernel_init=jax.nn.initializers.normal(1.0))
  params = net.init(key, x, code)
  kernel = params["params"]["kernel"]
  assert kernel.shape == (3, 3, 3 + 4, 7)

  def plain(kernel, x, code):
    code_map = jnp.broadcast_to(code[:, None, None], (2, 5, 6, 4))
    return convs.conv(jnp.concatenate([x, code_map], -1), kernel, 1, (1, 1))

  module = lambda kernel, x, code: net.apply(
    {"params": {"kernel": kernel}}, x, code
  )
  np.testing.assert_allclose(
    module(kernel, x, code), plain(kernel, x, code), rtol=1e-4, atol=1e-4
  )
  loss = lambda f: lambda *a: jnp.sum(jnp.sin(f(*a)))
  for a, b in zip(
    jax.grad(loss(module), (0, 1, 2))(kernel, x, code),
    jax.grad(loss(plain), (0, 1, 2))(kernel, x, code),
    strict=True,
  ):
    np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3)
