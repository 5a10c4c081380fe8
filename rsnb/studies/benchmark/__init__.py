"""All methods side by side over seeds."""
