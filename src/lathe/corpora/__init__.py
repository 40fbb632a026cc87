"""Generated data sets: each file is a pure function of (seed, n). See `lathe.contracts.Corpus`."""
