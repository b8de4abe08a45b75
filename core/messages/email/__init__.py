"""E-mail as a notification channel."""
