"""The town's Telegram bot: a parent's invoices in the chat."""
