"""The unit tests: no network but loopback, no service, no key."""
