"""What a lesson needs: settings and figures of a notebook, exercises, panels, the bug hunt."""
