"""The ``rsnb`` command."""
