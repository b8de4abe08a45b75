"""Messages to families: rows, channels, wording, registered addresses, e-mail."""
