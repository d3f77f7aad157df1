"""Three programs to start from; each runs on KIE, or without an API key on the emulator."""
