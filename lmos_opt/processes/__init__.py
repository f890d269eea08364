"""What a process has to do with its system: programs that it starts, signals, standard streams, files that it writes."""
