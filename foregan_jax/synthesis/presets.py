"""Presets of `pseudo_video.Synthesis`: all fields but size and clip_len."""

from typing import Any

_STILL = {"degrees": 0.0, "scale": (1.0, 1.0), "shear": 0.0, "shift": 0.0}
_PLAIN = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}
_MOTIONLESS = {"start": _STILL, "step": _STILL, "shake": _STILL}
# STCN's ranges (RGMP does not give its own): common to all frames of a clip,
# and of each frame independently.
_COMMON = {**_STILL, "scale": (0.8, 1.5), "shift": 0.1}
_APART = {
  "degrees": 20.0, "scale": (0.9, 1.1), "shear": 0.176, "shift": 0.05,
}  # fmt: skip
_GUIDANCE = {
  "degrees": 10.0, "scale": (0.9, 1.1), "shear": 0.2, "shift": 0.1,
  "soft": 0.5, "softness": 0.02, "empty": 0.1, "misplaced": 0.1, "far": 0.25,
}  # fmt: skip

PRESETS: dict[str, dict[str, Any]] = {
  # RGMP's structure with STCN's ranges: frames are independent of each other.
  "paper": {
    "min_area": 0.01, "several": 0.0, "guidance_frame": 1,
    "optics": {
      "still": {"brightness": 0.1, "contrast": 0.05, "saturation": 0.05,
                "hue": 0.05},
      "grey": 0.05, "blur": 0.0,
      "frame": {"brightness": 0.1, "contrast": 0.05, "saturation": 0.05,
                "hue": 0.0},
      "drift": 0.0, "noise": 0.0,
    },
    "staging": {
      "cut_out": 0.5, "mirror": 0.5, "mirror_targets": False,
      "camera": {"start": _COMMON, "step": _STILL, "shake": _APART},
      "object": {"start": _COMMON, "step": _STILL, "shake": _APART},
      "hold": False,
      "wobble": 0.0, "wobble_speed": 0.0, "reentry": 0.0,
      "occluder": 0.0, "occluder_size": (0.5, 1.0),
    },
    "guidance": _GUIDANCE,
  },
  # A student's recipe for RGMP: the target is the mirrored image, the guidance
  # its sheared mask.
  "student": {
    "min_area": 0.01, "several": 0.0, "guidance_frame": 1,
    "optics": {
      "still": _PLAIN, "grey": 0.0, "blur": 0.0, "frame": _PLAIN,
      "drift": 0.0, "noise": 0.0,
    },
    "staging": {
      "cut_out": 0.0, "mirror": 0.0, "mirror_targets": True,
      "camera": _MOTIONLESS, "object": _MOTIONLESS,
      "hold": False,
      "wobble": 0.0, "wobble_speed": 0.0, "reentry": 0.0,
      "occluder": 0.0, "occluder_size": (0.5, 1.0),
    },
    "guidance": {
      "degrees": 0.0, "scale": (1.0, 1.0), "shear": 0.2, "shift": 0.0,
      "soft": 0.0, "softness": 0.0, "empty": 0.0, "misplaced": 0.0,
      "far": 0.25,
    },
  },
  # Ours: smooth motion of object and camera, as in a real video.
  "video": {
    "min_area": 0.01, "several": 0.1, "guidance_frame": 0,
    "optics": {
      "still": {"brightness": 0.2, "contrast": 0.2, "saturation": 0.2,
                "hue": 0.03},
      "grey": 0.02, "blur": 0.3,
      "frame": {"brightness": 0.01, "contrast": 0.01, "saturation": 0.01,
                "hue": 0.0},
      "drift": 0.06, "noise": 0.03,
    },
    "staging": {
      "cut_out": 0.6, "mirror": 0.5, "mirror_targets": False,
      "camera": {
        "start": {"degrees": 5.0, "scale": (1.05, 1.3), "shear": 0.0,
                  "shift": 0.02},
        "step": {"degrees": 1.0, "scale": (0.98, 1.03), "shear": 0.0,
                 "shift": 0.03},
        "shake": {"degrees": 0.2, "scale": (1.0, 1.0), "shear": 0.0,
                  "shift": 0.002},
      },
      "object": {
        "start": {"degrees": 10.0, "scale": (0.7, 1.2), "shear": 0.1,
                  "shift": 0.15},
        "step": {"degrees": 4.0, "scale": (0.96, 1.04), "shear": 0.02,
                 "shift": 0.05},
        "shake": {"degrees": 0.3, "scale": (1.0, 1.0), "shear": 0.0,
                  "shift": 0.002},
      },
      "hold": True,
      "wobble": 0.02, "wobble_speed": 0.15, "reentry": 0.1,
      "occluder": 0.25, "occluder_size": (0.4, 0.9),
    },
    "guidance": _GUIDANCE,
  },
}  # fmt: skip
