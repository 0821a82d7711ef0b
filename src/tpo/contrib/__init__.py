"""Integrations: the reference script's command line, and an engine for TextGrad."""
