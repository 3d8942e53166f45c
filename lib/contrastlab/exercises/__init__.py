"""Checks of the exercises: each names the misconception behind a wrong answer."""
