"""Notebooks built, executed, and made into pages, a site, slides, a stick; results quoted in texts."""
