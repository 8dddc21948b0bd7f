"""Rules of the system face_parts beside its contract."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import face_parts as config_file
from foregan_jax import systems, tasks
from foregan_jax.data import face_labels, faces, fake, sources
from foregan_jax.layers import face_boxes, face_jitter
from foregan_jax.nets import efficientnet, part_segmenter


def test_names_agree_across_the_package():
  """Layers and systems may not import the data's names."""
  assert face_boxes.PARTS == face_labels.PARTS
  assert tasks.NUM_EMOTIONS == len(face_labels.EMOTIONS)


def test_without_labels_only_the_segmenter_is_trained(tmp_path):
  config = config_file.get_config(f"data={tmp_path},smoke")
  assert not config.expressions and config.ema_nets == ("parts",)
  system = systems.build(config)
  assert list(system.checkpoint_items) == ["parts"]
  assert list(system.batch_spec(2)) == ["faces"]
  assert system.turn(10**6) == ("parts",)
  assert set(jax.eval_shape(system.init, jax.random.key(0))[0]) == {"parts"}
  every = fake.FakeFaces(size=32, seed=0)
  assert list(faces.FaceStreams(every)[0]) == ["faces"]


def test_samples_fit_the_batch(tmp_path):
  config = config_file.get_config("smoke")
  system = systems.build(config)
  every = fake.FakeFaces(size=32, seed=0)
  sample = faces.FaceStreams(every, every)[3]
  spec = system.batch_spec(1)
  shape = lambda x: (x.shape, x.dtype)
  found = jax.tree.map(lambda x: ((1, *np.shape(x)), x.dtype), sample)
  assert found == jax.tree.map(shape, spec)
  drawn = fake.Fake(spec, seed=0)[0]
  assert drawn["labelled"]["label"] < len(face_labels.EMOTIONS)
  assert isinstance(sources.evaluation(config, tmp_path), faces.FaceStreams)


@pytest.mark.parametrize(
  ("key", "value", "message"),
  [
    ("data.face_size", 40, "must be a multiple of 16"),
    ("data.samples", "pictures", "face_parts trains on faces"),
    ("nets.widths", (8, 8), "must have 5 values"),
    ("jitter.scale", (1.2, 0.8), "smallest, largest"),
    ("balance", 0.5, "at least 1"),
    ("ema_nets", ("prts",), "Did you mean 'parts'"),
  ],
)
def test_bad_values_raise_one_sentence(key, value, message):
  config = config_file.get_config("smoke")
  config.update_from_flattened_dict({key: value})
  with pytest.raises(ValueError, match=message):
    systems.build(config)


def test_jitter_moves_masks_with_their_pixels():
  masks = np.zeros((8, 32, 32, 1), np.float32)
  masks[:, 10:20, 6:14] = 1.0
  image = np.repeat(2.0 * masks - 1.0, 3, -1)
  change = face_jitter.FaceJitter(
    (0.0, 0.0, 0.0, 0.0), 20.0, (0.8, 1.2), (0.1, 0.1)
  )
  given = jnp.asarray(image), jnp.asarray(masks)
  made = jax.jit(change)(jax.random.key(0), *given)
  moved, found = map(np.asarray, made)
  inside = (found > 0.99)[..., 0]
  np.testing.assert_allclose(moved[inside], 1.0, atol=0.05)
  assert (moved[(found < 0.01)[..., 0]] < 0.05).all()
  assert (np.abs(found - masks).max((1, 2, 3)) > 0.5).all()


def test_decoder_has_the_size_of_the_image():
  net = part_segmenter.PartDecoder(4, (8, 8, 8, 8, 8))
  segment = part_segmenter.OnTrunk(
    net, efficientnet.build("tiny", jnp.float32), "parts"
  )
  features = efficientnet.feature_shapes(48)
  image = jax.ShapeDtypeStruct((1, 48, 48, 3), jnp.float32)
  init = lambda key: segment.init(key, (48, 48))
  params = jax.eval_shape(init, jax.random.key(0))
  logits = jax.eval_shape(net.apply, params, features, image)
  assert logits.shape == (1, 48, 48, 4) and logits.dtype == jnp.float32
