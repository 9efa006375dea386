"""The web console at `/ui/`: files of the package, as they are, to whoever asks. What they do, they do by the API."""
