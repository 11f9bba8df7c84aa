"""How many words and characters are wrong, and how sure that is: what ``sewd evaluate`` reports."""
