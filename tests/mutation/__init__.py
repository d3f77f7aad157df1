"""Mutation tests: the code is changed in one place, and the unit tests must notice it."""
