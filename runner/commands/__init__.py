"""One module a command of `lmos`; each is imported when its command is called."""
