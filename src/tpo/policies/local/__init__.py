"""Any causal chat model in process, its samples decoded together over all queries in flight."""

from tpo.policies.local.policy import HFPolicy

__all__ = ["HFPolicy"]
