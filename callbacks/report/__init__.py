"""The report: one page that a person can read, print, sign and send, with no server and no network."""
