"""What a link gave over time: records and files, formats of others, generated ones, and scenarios drawn from them."""
