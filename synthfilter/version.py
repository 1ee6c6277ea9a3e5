"""The version, in one place for the package, its books and setup.py."""

__version__ = "0.1.0"
