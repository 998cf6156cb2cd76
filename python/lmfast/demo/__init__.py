"""The main job on real text, from end to end; `lmfast demo` and `make demo` run it."""

from lmfast.demo.run import Demo, run_demo

__all__ = ["Demo", "run_demo"]
