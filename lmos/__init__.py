"""The application: what only the command `lmos` needs."""
