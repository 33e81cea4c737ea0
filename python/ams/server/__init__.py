"""The command `python -m ams.server`: ams.serve with flags."""
