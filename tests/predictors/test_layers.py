"""Foregrounds and backgrounds of a video; replaced and kept files."""

import json

import numpy as np
import pytest
from PIL import Image

from foregan_jax.media import images, pictures
from foregan_jax.predictors import plates, propagate, results

_BOTH = results.LAYERS
_BLACK = np.zeros((60, 90, 3), np.uint8)


def _box():
  objects = np.zeros((60, 90), bool)
  objects[20:30, 40:50] = True
  return objects


@pytest.mark.parametrize("small", [(60, 90), (30, 45), (12, 18)])
def test_plate_is_the_frame_outside_of_a_fading_margin(small):
  white = np.full((*small, 3), 255, np.uint8)
  plate = plates.compose(_BLACK, _box(), white)[..., 0]
  assert (plate[_box()] == 255).all()
  scale = 60 / small[0]
  # The last row of the object is 29.
  column = plate[30:, 45].astype(int)
  margin = max(2, int(1.5 * scale))
  assert (column[:margin] == 255).all()
  assert (np.diff(column) <= 0).all() and 0 < column[margin] < 255
  assert (column[2 * margin + 1 :] == 0).all()
  # The margin is as wide at a corner as at an edge.
  corner = plate[[30 + margin, 29 + margin], [50 + margin, 49 + margin]]
  assert corner[0] < 255 and corner[0] <= corner[1]


def test_plate_without_objects_is_the_frame():
  frame = np.random.default_rng(0).integers(0, 256, _BLACK.shape, np.uint8)
  plate = plates.compose(frame, np.zeros((60, 90), bool), _BLACK[:6, :9])
  np.testing.assert_array_equal(plate, frame)


def _read(world, layer, index, out=None):
  path = (out or world.out) / layer / f"f{index}.png"
  with Image.open(path) as picture:
    return picture.mode, np.asarray(picture)


def test_every_frame_gets_both_layers(world, first_mask, background_tracker):
  (world.video / "f4.png").write_bytes(b"broken")
  tracker = background_tracker()
  state = tracker.begin(np.zeros(1), world.draw({1: (4, 5)}))
  world.write(tracker, first_mask, layers=_BOTH)
  for index, labels in enumerate(world.read_masks()):
    if labels is None:
      for what in _BOTH:
        assert not (world.out / what / f"f{index}.png").exists()
      continue
    frame = images.read_image(world.video / f"f{index}.png")
    mode, cut = _read(world, "foreground", index)
    assert mode == "RGBA"
    np.testing.assert_array_equal(cut[..., :3], frame)
    alpha = cut[..., 3]
    np.testing.assert_array_equal(alpha > 127, labels > 0)
    mode, plate = _read(world, "background", index)
    assert mode == "RGB"
    # The background is that of the same frame.
    state["labels"] = labels
    behind = images.resize_image(tracker.background(state), world.SIZE)
    inside = labels > 0
    np.testing.assert_array_equal(plate[inside], behind[inside])
    # The object ends in row 11; a pixel of the network is two of the video's.
    np.testing.assert_array_equal(plate[17:], frame[17:])
    if not index:
      assert set(np.unique(alpha)) == {0, 255}  # a given mask
  assert 127 < alpha.max() < 255  # the last mask is predicted


def test_alpha_covers_all_objects(world, background_tracker):
  given = world.draw({7: (2, 3), 200: (12, 10)})
  masks = {0: world.mask("first.png", given)}
  world.write(background_tracker(), masks, layers=("foreground",))
  assert not (world.out / "background").exists()
  _, cut = _read(world, "foreground", 0)
  np.testing.assert_array_equal(cut[..., 3] == 255, given > 0)


@pytest.mark.parametrize("fails_at", [1, 3, 5, 8, 10])
def test_continued_call_writes_the_same_layers(
  world, fails_at, background_tracker
):
  (world.video / "f6.png").write_bytes(b"broken")
  masks = {3: world.mask("3.png", world.draw({9: (2, 3)}))}
  settings = {"layers": _BOTH, "every": 3}
  world.write(background_tracker(), masks, out="whole", **settings)
  with pytest.raises(RuntimeError, match="out of memory"):
    world.write(background_tracker(fails_at), masks, **settings)
  rest = background_tracker()
  world.write(rest, masks, **settings)
  assert rest.steps < 10 or fails_at < 3
  whole = world.contents(world.root / "whole")
  assert world.contents() == whole
  found = [name for name in whole if name.startswith("background/f")]
  assert len(found) == 11


@pytest.mark.parametrize("what", [*_BOTH, "masks", "disabled"])
def test_missing_or_stale_layers_start_a_new_propagation(
  world, first_mask, what, background_tracker
):
  settings = {"layers": _BOTH}
  world.write(background_tracker(), first_mask, **settings)
  stale = [world.out / layer / "of_a_longer_video.png" for layer in _BOTH]
  for path in stale:
    path.write_bytes(b"stale")
  if what == "disabled":
    settings = {"layers": ("foreground",)}
  else:
    (world.out / what / "f5.png").unlink()
  tracker = background_tracker()
  world.write(tracker, first_mask, **settings)
  assert tracker.steps == world.NUM_FRAMES - 1
  assert not any(path.exists() for path in stale)
  world.write(background_tracker(), first_mask, out="new", **settings)
  assert world.contents() == world.contents(world.root / "new")
  world.write(again := background_tracker(), first_mask, **settings)
  assert again.steps == 0


def test_unfinished_layers_are_removed(world, first_mask, background_tracker):
  world.write(background_tracker(), first_mask, layers=_BOTH)
  before = world.contents()
  for layer in _BOTH:
    (world.out / layer / ".f0.png.12.34").write_bytes(b"half")
  world.write(background_tracker(), first_mask, layers=_BOTH)
  assert world.contents() == before


def _remove_written_names(path):
  """Rewrite a snapshot in the format of versions without layers."""
  with np.load(path) as arrays:
    saved = dict(arrays)
  meta = json.loads(str(saved["meta"]))
  del meta["written"]
  np.savez(path, **(saved | {"meta": np.array(json.dumps(meta))}))


@pytest.mark.parametrize("old", [False, True])
def test_foreign_layer_folders_are_not_replaced(
  world, first_mask, old, background_tracker
):
  """A call that wrote only masks does not own the folders of layers."""
  world.write(background_tracker(), first_mask)
  if old:
    _remove_written_names(world.out / propagate.SNAPSHOT_NAME)
    world.write(again := background_tracker(), first_mask)
    assert again.steps == 0  # the old snapshot is still valid
  foreign = world.out / "foreground" / "holiday.png"
  pictures.save_png(foreign, _BLACK)
  with pytest.raises(ValueError, match="foreground exists already.*--out"):
    world.write(background_tracker(), first_mask, layers=_BOTH)
  world.write(background_tracker(), first_mask, description="another tracker")
  assert foreign.exists()
  assert (world.out / "masks" / "f3.png").exists()


def test_inputs_may_lie_in_folders_of_disabled_layers(
  world, background_tracker
):
  labels = world.draw({1: (4, 5)})
  mask = {0: world.out / "foreground" / "first.png"}
  pictures.save_labels(mask[0], labels)
  with pytest.raises(ValueError, match="first.png lies where results"):
    world.write(background_tracker(), mask, layers=_BOTH)
  world.write(background_tracker(), mask)
  assert mask[0].exists()


def test_inputs_in_layers_of_an_earlier_call_are_refused(
  world, first_mask, background_tracker
):
  world.write(background_tracker(), first_mask, layers=_BOTH)
  path = world.out / "foreground" / "first.png"
  pictures.save_labels(path, world.draw({1: (4, 5)}))
  with pytest.raises(ValueError, match="first.png lies where results"):
    world.write(background_tracker(), {0: path})
  assert path.exists()
