"""The command line: parses, calls, prints."""

from likewise.cli.app import main

__all__ = ["main"]
