import jax
import jax.numpy as jnp
import numpy as np

from foregan_jax.losses import segmentation


def test_bce_equals_the_formula(key):
  logits, target = jax.random.normal(key, (2, 2, 3, 4, 1))
  target = jax.nn.sigmoid(target)
  p = jax.nn.sigmoid(logits)
  want = -(target * jnp.log(p) + (1 - target) * jnp.log(1 - p)).mean()
  np.testing.assert_allclose(segmentation.bce(logits, target), want, rtol=1e-5)


def test_bce_ignores_pixels_of_weight_0(key):
  logits = jax.random.normal(key, (2, 3, 4, 1))
  target = (logits > 0).astype(jnp.float32)
  weight = jnp.ones((2, 3, 4, 1)).at[:, 0].set(0)
  wrong = target.at[:, 0].set(1 - target[:, 0])
  np.testing.assert_allclose(
    segmentation.bce(logits, wrong, weight),
    segmentation.bce(logits[:, 1:], target[:, 1:]),
    rtol=1e-5,
  )
  per_sample = jnp.array([0.0, 1.0]).reshape(2, 1, 1, 1)
  np.testing.assert_allclose(
    segmentation.bce(logits, target, per_sample),
    segmentation.bce(logits[1:], target[1:]),
    rtol=1e-5,
  )


def test_hardest_bce_takes_the_largest_losses_of_each_image(key):
  logits, noise, chance = jax.random.normal(key, (3, 2, 3, 4, 1))
  target = jax.nn.sigmoid(noise)
  weight = (chance > -0.8).astype(jnp.float32)
  p = np.asarray(jax.nn.sigmoid(logits))
  loss = -(target * np.log(p) + (1 - target) * np.log(1 - p))
  taken = []
  for image, known in zip(np.asarray(loss), np.asarray(weight), strict=True):
    values = np.sort(image[known > 0])[::-1]
    assert len(values) < image.size
    taken.extend(values[: int(np.ceil(0.4 * len(values)))])
  got = segmentation.hardest_bce(logits, target, weight, 0.4)
  np.testing.assert_allclose(got, np.mean(taken), rtol=1e-5)
  whole = segmentation.hardest_bce(logits, target, weight, 1.0)
  want = segmentation.bce(logits, target, weight)
  np.testing.assert_allclose(whole, want, rtol=1e-5)
  assert segmentation.hardest_bce(logits, target, 0 * weight, 0.4) == 0


def test_hardest_bce_has_no_gradient_at_easy_pixels(key):
  logits = jnp.array([4.0, -3.0, 2.0, -1.0]).reshape(1, 2, 2, 1)
  ones = jnp.ones_like(logits)
  loss = lambda x: segmentation.hardest_bce(x, ones, ones, 0.5)
  grad = jax.grad(loss)(logits).ravel()
  want = (jax.nn.sigmoid(logits.ravel()) - 1) / 2 * jnp.array([0, 1, 0, 1])
  np.testing.assert_allclose(grad, want, rtol=1e-5)


def test_soft_iou_equals_the_formula():
  mask = jnp.zeros((1, 4, 4, 1)).at[:, :2].set(1)  # 8 pixels
  half = mask.at[:, :, :2].set(0)  # 4 of them
  for equal in (mask, 0 * mask):
    np.testing.assert_allclose(
      segmentation.soft_iou(equal, equal), 0, atol=1e-6
    )
  np.testing.assert_allclose(
    segmentation.soft_iou(half, mask), 1 - 5 / 9, rtol=1e-5
  )


def test_soft_iou_averages_over_samples():
  mask = jnp.zeros((2, 4, 4, 1)).at[:, :2].set(1)
  prob = mask.at[1].set(0)
  np.testing.assert_allclose(
    segmentation.soft_iou(prob, mask), (1 - 1 / 9) / 2, rtol=1e-5
  )


def test_background_equals_bce_with_an_empty_target(key):
  logits = 5 * jax.random.normal(key, (2, 3, 4, 1))
  np.testing.assert_allclose(
    segmentation.background(logits),
    segmentation.bce(logits, jnp.zeros_like(logits)),
    rtol=1e-5,
  )
  assert jnp.isfinite(segmentation.background(logits + 1e4))


def test_soft_iou_ignores_samples_of_weight_0():
  mask = jnp.zeros((2, 4, 4, 1)).at[:, :2].set(1)
  prob = mask.at[1].set(0)
  loss = lambda *w: segmentation.soft_iou(prob, mask, jnp.array(w))
  np.testing.assert_allclose(loss(1.0, 0.0), 0, atol=1e-6)
  np.testing.assert_allclose(loss(0.0, 1.0), 1 - 1 / 9, rtol=1e-5)
  assert loss(0.0, 0.0) == 0


def test_balanced_bce_weighs_the_pixels_of_masks(key):
  logits = jax.random.normal(key, (2, 3, 4, 2))
  target = (jax.random.uniform(key, logits.shape) < 0.2).astype(jnp.float32)
  plain = segmentation.bce(logits, target)
  np.testing.assert_allclose(
    segmentation.balanced_bce(logits, target, 1.0), plain, rtol=1e-6
  )
  weight = jnp.where(target > 0, 5.0, 1.0)
  np.testing.assert_allclose(
    segmentation.balanced_bce(logits, target, 5.0),
    segmentation.bce(logits, target, weight),
    rtol=1e-6,
  )


def test_pooled_iou_penalises_false_pixels_of_empty_samples():
  target = jnp.zeros((2, 4, 4, 2)).at[0, :2, :2].set(1.0)
  prob = target.at[1, :2, :2, 1].set(1.0)
  # One pixel is added to intersection and union.
  loss = segmentation.pooled_iou(prob, target)
  np.testing.assert_allclose(loss, [0.0, 1 - 5 / 9], atol=1e-6)
