"""Builders that tests share: event lines, session stores of both generations, configurations, the executables."""
