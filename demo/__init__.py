"""A terminal demo of a LangGraph agent that uses KIE or the emulator."""
