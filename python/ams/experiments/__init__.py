"""Regenerates the paper's tables and figures on any clips: python -m ams.experiments --help."""
