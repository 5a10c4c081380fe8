"""Search in a folder of real images, by words and by images: how many of the first ten are of the right class."""
