"""Plug-ins that register themselves when they are imported."""
