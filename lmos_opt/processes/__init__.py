"""What a process has to do with its system: programs that it starts, signals, standard streams, files that it writes."""

MOST_THREADS = 1024
"""The most threads that a command may be told to use: libraries keep the number in fields that larger ones do not fit."""
