"""Moon keeps an OpenClaw agent from losing its past."""

__version__ = "0.1.0"
