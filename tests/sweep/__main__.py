"""Give the programs hundreds of bad inputs and count what goes wrong.

  python -m tests.sweep --limit 400 --seed 0

Every case runs in a process of its own, forked from one that has imported JAX
but has not started it: a case costs about a second. A case goes wrong if it
prints a traceback, takes longer than 60 seconds, dies, changes its inputs, or
writes elsewhere than to its output.
"""

import argparse
import atexit
import collections
import dataclasses
import hashlib
import json
import math
import os
import pathlib
import random
import resource
import runpy
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback

# Before JAX is imported; see tests/conftest.py.
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = "--xla_backend_optimization_level=0"
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")

import tensorflow_datasets  # noqa: F401  for the children

# Not `main`: a child that runs it would define its flags twice.
from foregan_jax import bench, evaluate, predict, train  # noqa: F401
from foregan_jax.data.prepared import builder  # noqa: F401
from tests.sweep import commands, data, faces, flags, runs, uses
from tests.sweep import world as world_lib

_TIMEOUT = 60.0  # seconds
_ROOT = pathlib.Path(__file__).resolve().parents[2]
_MAX_MEMORY = 12 * 2**30  # bytes of address space; JAX needs 4 GiB
_MAX_FILES = 5  # in the log
_WRONG = ("traceback", "hang", "crash", "changed input", "stray file")
# A config with one variant, for `ablate`.
_TINY_CONFIG = """from configs import layered_gan
VARIANTS = ("full",)
get_config = layered_gan.get_config
"""


@dataclasses.dataclass(frozen=True)
class Outcome:
  """What a case did.

  Attributes:
    name: of the case.
    result: "accepted", "refused", or one of `_WRONG`.
    seconds: duration.
    text: the end of the output on standard error.
    files: inputs that were changed, and stray files.
  """

  name: str
  result: str
  seconds: float
  text: str
  files: tuple[str, ...] = ()


def run(
  case: commands.Case, world: pathlib.Path, place: pathlib.Path
) -> Outcome:
  """Run a case with its own copies of the inputs, in a new folder `place`."""
  places = {"out": place / "out"}
  for item in world_lib.RUNS:
    places[item] = place / "runs" / item
  for item in (
    "davis", "stills", "cub", "voc", "prepared", "video", "mask", "clip",
    "faces", "ablation", "tracked", "demo", "config",
  ):  # fmt: skip
    places[item] = place / item
  place.mkdir()
  for item, path in places.items():
    if any(f"{{{item}}}" in argument for argument in case.arguments):
      _copy(item, world / path.relative_to(place), path)
  arguments = []
  for argument in case.arguments:
    for item, path in places.items():
      argument = argument.replace(f"{{{item}}}", str(path))
    arguments.append(argument)
  if case.damage:
    case.damage(place / case.place)
  before = _hashes(place)
  start = time.monotonic()
  status, text = _run_child(case, arguments, place)
  seconds = time.monotonic() - start
  after = _hashes(place)
  changed = {k for k in after | before if after.get(k) != before.get(k)}
  stray = sorted(
    path for path in changed
    if not any(f"{path}/".startswith(f"{w}/") for w in case.writes)
  )  # fmt: skip
  if "Traceback (most recent call last)" in text:
    result = "traceback"
  elif status is None:
    result = "hang"
  elif status < 0:
    result = "crash"
  elif any(path in before for path in stray):
    result = "changed input"
  elif stray:
    result = "stray file"
  else:
    result = "refused" if status else "accepted"
  shutil.rmtree(place)
  return Outcome(
    case.name,
    result,
    round(seconds, 1),
    text[-3000:],
    tuple(stray[:_MAX_FILES]),
  )


def _copy(item: str, source: pathlib.Path, target: pathlib.Path) -> None:
  if item == "config":
    target.mkdir()
    (target / "tiny.py").write_text(_TINY_CONFIG)
  elif item == "demo":
    target.mkdir()
    (target / "demo.json").write_text('{"version": "x", "finished": false}')
  elif item != "out":
    target.parent.mkdir(exist_ok=True)
    shutil.copytree(source, target)


def _hashes(folder: pathlib.Path) -> dict[str, str]:
  """Return a hash per file, and the kind of other entries."""
  found = {}
  for root, folders, names in os.walk(folder):
    for name in names + [d for d in folders if os.path.islink(f"{root}/{d}")]:
      path = os.path.join(root, name)
      key = os.path.relpath(path, folder)
      if os.path.islink(path):
        found[key] = os.readlink(path)
      elif os.path.isfile(path):
        content = pathlib.Path(path).read_bytes()
        found[key] = hashlib.sha256(content).hexdigest()
      else:
        found[key] = "special"
  return found


def _run_child(
  case: commands.Case, arguments: list[str], place: pathlib.Path
) -> tuple[int | None, str]:
  """Return the exit status, None after the timeout, and standard error."""
  with tempfile.TemporaryFile() as log:
    pid = os.fork()
    if not pid:
      module = case.module
      if not module.startswith("tests."):
        module = f"foregan_jax.{module}"
      _become(module, arguments, place, log.fileno())
    start = time.monotonic()
    terminate = start + (case.terminate_after or math.inf)
    status = None
    while not _hangs(pid, time.monotonic() - start):
      done, code = os.waitpid(pid, os.WNOHANG)
      if done:
        status = os.waitstatus_to_exitcode(code)
        break
      if time.monotonic() > terminate:
        os.kill(pid, signal.SIGTERM)
        terminate = math.inf
      time.sleep(0.005)
    try:
      os.killpg(pid, signal.SIGKILL)  # also what the case has started
    except ProcessLookupError:
      pass
    if status is None:
      os.waitpid(pid, 0)
    log.seek(0)
    return status, log.read().decode(errors="replace")


def _hangs(pid: int, seconds: float) -> bool:
  """Return whether a process takes too long.

  The compiler may need the processor for longer if others use it, too.
  """
  if seconds < _TIMEOUT:
    return False
  fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1]
  ticks = sum(map(int, fields.split()[11:13]))  # of user and system
  used = ticks / os.sysconf("SC_CLK_TCK")
  return used < _TIMEOUT / 4 or used > 2 * _TIMEOUT or seconds > 5 * _TIMEOUT


def _become(module: str, arguments: list[str], place, log: int) -> None:
  """Run a module as `python -m` does, and end this process."""
  os.setsid()
  resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY, _MAX_MEMORY))
  os.chdir(place)
  os.dup2(os.open(os.devnull, os.O_RDWR), 0)
  os.dup2(os.open(os.devnull, os.O_RDWR), 1)
  os.dup2(log, 2)
  # As in a new process: what is not UTF-8 cannot be printed on stdout.
  sys.stdout = open(1, "w", encoding="utf-8", closefd=False)
  sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace",
                    closefd=False)  # fmt: skip
  sys.argv = [module, *arguments]
  sys.path.insert(0, str(_ROOT))
  status = 0
  try:
    sys.modules.pop(module, None)
    runpy.run_module(module, run_name="__main__", alter_sys=True)
  except SystemExit as stop:
    if isinstance(stop.code, str):
      print(stop.code, file=sys.stderr)
    status = 1 if isinstance(stop.code, str) else int(stop.code or 0)
  except BaseException:
    traceback.print_exc()
    status = 1
  threading._shutdown()
  atexit._run_exitfuncs()
  sys.stdout.flush()
  sys.stderr.flush()
  os._exit(status)


def main() -> None:
  """Run the cases and print a table."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--limit", type=int, default=0, help="cases; 0: all")
  parser.add_argument("--seed", type=int, default=0)
  parser.add_argument("--only", default="", help="cases whose name has this")
  parser.add_argument("--case", action="append", help="a name; repeatable")
  parser.add_argument("--world", type=pathlib.Path, help="kept for other calls")
  parser.add_argument("--log", type=pathlib.Path, help="JSON lines, per case")
  args = parser.parse_args()
  cases = [*flags.cases(args.seed)]
  for module in (data, faces, runs, uses):
    cases += module.cases()
  names = {case.name for case in cases}
  assert len(names) == len(cases)
  cases.sort(key=lambda case: case.name)  # the order of the code is irrelevant
  random.Random(args.seed).shuffle(cases)
  chosen = [case for case in cases if args.only in case.name]
  if args.case:
    unknown = sorted(set(args.case) - names)
    if unknown:
      parser.error(f"no case is called {unknown[0]!r}")
    chosen = [case for case in cases if case.name in args.case]
  chosen = chosen[: args.limit or None]
  log = open(args.log, "a") if args.log else None
  counts: collections.Counter = collections.Counter()
  # Not a TemporaryDirectory, which every child would remove when it ends.
  temporary = tempfile.mkdtemp()
  try:
    world = args.world or pathlib.Path(temporary, "world")
    world.mkdir(parents=True, exist_ok=True)
    world_lib.build(
      world,
      prepared=any("{prepared}" in " ".join(c.arguments) for c in chosen),
      runs=any(case.needs_run for case in chosen),
    )
    pristine = _hashes(world)
    start = time.monotonic()
    for number, case in enumerate(chosen):
      outcome = run(case, world, pathlib.Path(temporary, f"case-{number}"))
      counts[outcome.result] += 1
      if outcome.result in _WRONG:
        print(f"{outcome.result}: {ascii(case.name)} {outcome.files}")
        print("  " + outcome.text.strip()[-300:].replace("\n", "\n  "))
        sys.stdout.flush()
      if log:
        print(json.dumps(dataclasses.asdict(outcome)), file=log, flush=True)
    minutes = (time.monotonic() - start) / 60
    damaged = _hashes(world) != pristine
  finally:
    shutil.rmtree(temporary)
  print(f"{len(chosen)} cases in {minutes:.1f} minutes, seed {args.seed}")
  for result in ("refused", "accepted", *_WRONG):
    print(f"{result:15}{counts[result]:6}")
  if damaged:
    print("the common inputs were changed")
  sys.exit(bool(damaged or any(counts[result] for result in _WRONG)))


if __name__ == "__main__":
  main()
