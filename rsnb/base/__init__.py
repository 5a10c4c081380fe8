"""What everything else stands on: where things lie, how a file is written, processes and the network."""
