"""HTML reports that need nothing else: one page, one style of drawing."""
