"""JSON Schema: one plain form, Gemini's subset of it, and values fitted to a schema."""
