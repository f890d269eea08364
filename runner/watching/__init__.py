"""What happens, and who is told: events, logs, metrics, the live view, traces, the report."""
