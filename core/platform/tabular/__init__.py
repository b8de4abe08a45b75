"""Tables as files: decoding, sheets, problems, writing."""
