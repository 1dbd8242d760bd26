"""Lines, links and ssh: what every connection shares."""
