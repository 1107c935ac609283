"""Numbers of many models → statistics → report. To come."""
