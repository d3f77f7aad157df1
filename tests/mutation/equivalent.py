"""Mutants that behave as the code does; a test cannot notice them."""

from __future__ import annotations

# (module, before, after): why nothing can notice it.
EQUIVALENT: dict[tuple[str, str, str], str] = {}
