"""Tools, tool choice and structured output."""
