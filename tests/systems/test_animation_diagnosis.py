"""Diagnosis of collapsed masks from metrics."""

import pytest

from configs import animation
from foregan_jax import systems, tasks
from foregan_jax.systems.animation import diagnosis


def test_healthy_masks_raise_no_alarm():
  for mean in (0.05, 0.4, 0.9):
    assert diagnosis.diagnose({"animator/mask_mean": mean}) == {}
  assert diagnosis.diagnose({"refiner/loss": 0.1}) == {}


@pytest.mark.parametrize(("mean", "kind"), [(0.01, "black"), (0.99, "white")])
def test_collapse_has_a_name_and_a_remedy(mean, kind):
  system = systems.build(animation.get_config("smoke"))
  assert isinstance(system, tasks.HasDiagnostics)
  found = system.diagnose(100, {"animator/mask_mean": mean})
  assert list(found) == [f"{kind} masks"]
  assert "nets.centred=True" in found[f"{kind} masks"]
