"""Parts of lessons that run in the page: short plain JavaScript, and what is computed for it when the site is built."""
