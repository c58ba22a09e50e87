"""Here so that tests in subfolders can import factory.py."""
