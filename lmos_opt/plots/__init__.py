"""Pictures, one file each: matplotlib for files and notebooks, plotly for one interactive page; `style` holds their look."""
