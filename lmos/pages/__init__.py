"""Pages: the report to send, and the page with sliders."""
