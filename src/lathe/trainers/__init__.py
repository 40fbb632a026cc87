"""Trainers: each file turns a TrainJob into weights. See `lathe.contracts.Trainer`."""
