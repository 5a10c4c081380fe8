"""Is it the view from above, the unfamiliar look, or the space? Three sets, before and after adaptation."""
