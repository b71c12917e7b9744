"""When sharing pays: gaps along an axis, what they say, and the page that shows them."""
