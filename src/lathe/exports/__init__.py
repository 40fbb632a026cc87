"""Exports: each file writes a trained model in one format. See `lathe.contracts.Exporter`."""
