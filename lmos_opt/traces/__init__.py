"""The rates of a link over time: records and files, formats of others, generated traces, and scenarios drawn from them."""
