"""Building block for Ray Data pipelines: ``dataset.map_batches(tpo.ray.Optimize, ...)``."""

from tpo.scale.optimize import Optimize

__all__ = ["Optimize"]
