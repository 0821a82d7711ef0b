"""Policies: what answers a conversation, and what wraps it."""

from tpo.policies.base import Policy
from tpo.policies.function import FunctionPolicy, PolicyFunction, as_policy
from tpo.policies.openai import OpenAIPolicy
from tpo.policies.scripted import PolicyCall, ScriptedPolicy, improved

__all__ = [
    "FunctionPolicy",
    "OpenAIPolicy",
    "Policy",
    "PolicyCall",
    "PolicyFunction",
    "ScriptedPolicy",
    "as_policy",
    "improved",
]
