"""Rows of files, one after the other, each with the place it came from: JSON, CSV, tables, data sets of the Hub."""
