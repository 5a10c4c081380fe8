"""Things to touch: panels of controls for the notebooks, each with a static picture for where widgets do not run."""
