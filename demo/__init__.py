"""A LangGraph agent in the terminal, on KIE or on the emulator."""
