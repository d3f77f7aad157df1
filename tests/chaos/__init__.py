"""Agents behind a proxy that breaks answers, in processes that are killed; see docs/chaos.md."""
