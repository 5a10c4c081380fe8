"""Ten pipelines with plausible numbers, some with a silent bug; checks that find it."""
