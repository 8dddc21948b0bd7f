"""Tests of batches that grow with the devices, and of the examples' batches."""

import importlib
import pathlib
import re

import pytest

from configs import davis
from foregan_jax.runtime import batching

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
  "rule, factor", [("none", 1), ("sqrt", 2), ("linear", 4)]
)
def test_batch_and_learning_rates_grow(rule, factor):
  config, before = davis.get_config(), davis.get_config()
  batching.set_per_device(config, 2, 2 * before.batch_size, rule)
  assert config.batch_size == 4 * before.batch_size
  for name, optim in before.optim.items():
    rate = config.optim[name].learning_rate
    assert rate == pytest.approx(factor * optim.learning_rate)


# Devices that an example of a launcher uses, by its file.
_DEVICES = {
  "any.sh": (1, 2, 8),
  "kubernetes.yaml": (8,),
  "mpi.sh": (2, 4, 8),
  "slurm.sbatch": (8, 16),
  "tpu_pod.sh": (8, 32),
}


@pytest.mark.parametrize("name", _DEVICES)
def test_examples_of_launchers_fit_their_devices(name):
  text = re.sub(r"\\\n#?", " ", (ROOT / "launch" / name).read_text())
  text = re.sub(r"\n +- --", " --", text)
  examples = re.findall(r"--config=configs/(\w+)\.py(\S*)(.*)", text)
  assert examples
  for config_name, words, flags in examples:
    module = importlib.import_module(f"configs.{config_name}")
    config = module.get_config(words.removeprefix(":"))
    per_device = re.search(r"--batch_per_device=(\d+)", flags)
    for devices in _DEVICES[name]:
      if per_device:
        batching.set_per_device(config, int(per_device[1]), devices, "none")
      assert config.batch_size % devices == 0


def test_batch_must_be_positive():
  config = davis.get_config()
  config.batch_size = 0
  with pytest.raises(ValueError, match="batch_size is 0, expected 1 or more"):
    batching.set_per_device(config, 2, 4, "linear")
