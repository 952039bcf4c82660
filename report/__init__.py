"""HTML pages and SVG charts made from records; nothing here computes a figure."""
