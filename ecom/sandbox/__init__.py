"""A payment provider and a mail server to practise on."""
