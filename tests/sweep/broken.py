"""A program that misbehaves as its argument says, to test the sweep."""

import os
import pathlib
import signal
import sys
import time

match sys.argv[1]:
  case "traceback":
    raise RuntimeError("broken")
  case "hang":
    time.sleep(1000)
  case "crash":
    os.kill(os.getpid(), signal.SIGSEGV)
  case "changed input":
    pathlib.Path("mask/mask.png").write_bytes(b"x")
  case "stray file":
    pathlib.Path("stray").touch()
  case "refused":
    sys.exit("no")
  case "accepted":
    pathlib.Path("out").touch()
