"""Measurements: each module prints its bars, each bar against what it must be and what it aims at."""
