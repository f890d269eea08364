"""Pictures, one file for each: matplotlib for files and notebooks, plotly for an interactive page; `style` holds their look."""
