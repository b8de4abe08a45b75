"""PayFiP, the DGFiP's payment service, as a plugin of Préau."""
