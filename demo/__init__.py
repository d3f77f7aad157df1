"""A terminal demo of an agent that uses KIE or the emulator."""
